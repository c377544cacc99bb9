"""Hearing of sessions from other processes: report, wait, ls --watch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import pytest

from waiting import TO_RUN

from .conftest import Frith, OnTerminal, Outcome, Terminal

pytestmark = pytest.mark.expensive("starts the command as a process")

COMMAND = f"{sys.executable} -m frith_cli"


def test_a_process_within_a_session_reports_without_naming_it(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    script = f"{COMMAND} report waiting --message 'May I?'; echo reported; exec cat"
    on_terminal("new", "one", "--", "sh", "-c", script).expect(b"reported")
    waited = frith("wait", "one", "--for", "waiting", "--timeout", "60", "--json")
    assert waited.code == 0
    evidence = waited.json["frith"]["evidence"]
    assert (waited.json["status"], evidence["source"]) == ("waiting", "told")
    assert evidence["message"] == "May I?"


def test_report_names_a_session_from_anywhere(frith: Frith) -> None:
    frith("new", "one", "--no-attach")
    assert frith("report", "error", "one", "--message", "No network").code == 0
    shown = frith("show", "one", "--json").json
    assert (shown["status"], shown["frith"]["evidence"]["message"]) == ("error", "No network")


def test_report_outside_of_a_session_needs_a_name(frith: Frith) -> None:
    reported = frith("report", "waiting")
    assert reported.code == 2
    assert "FRITH_SESSION_ID" in reported.err


def test_report_of_an_unknown_session_is_refused(
    frith: Frith, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRITH_SESSION_ID", "a5dd2a4e-1d2f-4d3a-9a59-9f3d0a4a9d10")
    reported = frith("report", "waiting")
    assert (reported.code, "[SESSION_NOT_FOUND]" in reported.err) == (1, True)


@pytest.mark.parametrize("status", ["active", "waiting"])
def test_report_refuses_a_status_that_needs_a_process(frith: Frith, status: str) -> None:
    frith("new", "one", "--no-attach")
    reported = frith("report", status, "one")
    assert (reported.code, "[SESSION_NOT_RUNNING]" in reported.err) == (1, True)
    assert frith("show", "one", "--json").json["status"] == "idle"


def test_wait_follows_a_session_without_a_host(frith: Frith) -> None:
    frith("new", "one", "--detach", "--", "sh", "-c", "printf 'Delete? '; read answer")
    waited = frith("wait", "one", "--for", "waiting", "--timeout", "60", "--json")
    assert waited.code == 0
    assert waited.json["frith"]["evidence"]["message"] == "Delete?"
    frith("send", "one", "yes")
    assert frith("wait", "one", "--timeout", "60").code == 0


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 5", 3)])
def test_wait_for_the_exit_returns_its_code(
    frith: Frith, on_terminal: OnTerminal, script: str, code: int
) -> None:
    host = on_terminal("new", "one", "--", "sh", "-c", f"echo up; read x; {script}")
    host.expect(b"up")
    waiting = subprocess.Popen(
        [sys.executable, "-m", "frith_cli", "wait", "one"], cwd=os.getcwd(), stdout=-1
    )
    host.type(b"go\n")
    host.end()
    assert waiting.wait(TO_RUN) == code
    waiting.communicate()


@pytest.mark.usefixtures("on_pty")
def test_wait_ends_when_the_host_is_killed(frith: Frith, on_terminal: OnTerminal) -> None:
    host = on_terminal("new", "one", "--", "sh", "-c", "echo up; exec sleep 100")
    host.expect(b"up")
    host.send_signal(signal.SIGKILL)
    host.end()
    waited = frith("wait", "one", "--timeout", "60")
    assert (waited.code, waited.out) == (0, "idle\n")


def test_wait_ends_at_the_time_limit(frith: Frith, on_terminal: OnTerminal) -> None:
    on_terminal("new", "one", "--", "sh", "-c", "echo up; exec sleep 100").expect(b"up")
    waited = frith("wait", "one", "--for", "error", "--timeout", "0.1")
    assert (waited.code, waited.out) == (124, "")
    assert "one did not reach error" in waited.err


def test_wait_refuses_a_status_that_cannot_come(frith: Frith) -> None:
    frith("new", "one", "--no-attach")
    waited = frith("wait", "one", "--for", "waiting")
    assert (waited.code, "[SESSION_ENDED]" in waited.err) == (1, True)
    assert frith("wait", "one", "--for", "waiting", "--for", "idle").code == 0


def test_ls_watch_shows_a_change_of_another_process_and_changed_files(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    created = frith("new", "one", "--no-attach", "--json").json
    Path(created["worktreePath"], "new").touch()
    watching = on_terminal("ls", "--watch")
    watching.expect(b"feature/one")
    watching.expect(b" 1 ")
    frith("report", "error", "one", "--message", "May I?")
    watching.expect(b"May I?")
    watching.send_signal(signal.SIGINT)
    assert watching.end() == 130
    assert watching.shown.endswith(b"\x1b[?25h\x1b[?1049l")


@pytest.fixture
def watching(frith: Frith, on_terminal: OnTerminal) -> Terminal:
    """`ls --watch`, which runs the session ``one``, that asks something and then fails."""
    frith("new", "one", "--detach", "--", "sh", "-c", "printf 'Delete? '; read x; exit 3")
    watching = on_terminal("ls", "--watch")
    watching.expect(b"waiting")
    return watching


def test_ls_watch_shows_the_question_of_a_session_without_a_host(
    frith: Frith, watching: Terminal
) -> None:
    watching.expect(b"Delete?")
    frith("send", "one", "yes")
    watching.expect(b"error")
    watching.send_signal(signal.SIGINT)
    assert watching.end() == 130
    assert "Delete?" in frith("tail", "one").out


def test_processes_keep_running_when_ls_watch_ends(frith: Frith, watching: Terminal) -> None:
    pid = frith("show", "one", "--json").json["ptyPid"]
    watching.send_signal(signal.SIGINT)
    watching.end()
    shown = frith("show", "one", "--json").json
    assert (shown["ptyPid"], shown["status"], shown["frith"]["holder"]) == (
        pid, "waiting", "free"
    )  # fmt: skip


def test_other_commands_get_the_sessions_of_ls_watch_while_its_terminal_is_stopped(
    frith: Frith, watching: Terminal
) -> None:
    watching.type(b"\x13")
    frith("report", "waiting", "one", "--message", "May I?")
    assert frith("rm", "one", "--cleanup") == Outcome(0, "", ANY)
    watching.send_signal(signal.SIGINT)
    watching.type(b"\x11")
    assert watching.end() == 130


def test_ls_watch_cannot_be_suspended(watching: Terminal) -> None:
    assert watching.ignores(signal.SIGTSTP)


def test_a_signal_ends_ls_watch_while_its_terminal_is_stopped(watching: Terminal) -> None:
    watching.type(b"\x13")
    watching.send_signal(signal.SIGTERM)
    assert watching.end() == 143


def test_ls_watch_needs_a_terminal(frith: Frith) -> None:
    assert frith("ls", "--watch").code == 2
    assert frith("ls", "--watch", "--json").code == 2
