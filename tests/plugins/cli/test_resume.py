"""Starting processes again: ``resume``, ``resume --all``, ``restart``."""

from __future__ import annotations

import os
import signal

import pytest

from frith_os.processes import stat_of
from waiting import wait_until

from .conftest import WORK, Frith, OnTerminal, alive, pid_of

pytestmark = pytest.mark.expensive("starts the command as a process")


def test_restart_gives_a_session_a_new_process(frith: Frith, left: int) -> None:
    restarted = frith("restart", "one", "--detach")
    assert restarted.code == 0
    assert "one is running." in restarted.err
    assert not alive(left)
    assert alive(pid_of(frith))


def test_restart_takes_a_session_from_the_command_that_runs_it(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    owner = on_terminal("new", "one", *WORK)
    owner.expect(b"ready")
    again = on_terminal("restart", "one", "--", "sh", "-c", "echo again; read line")
    again.expect(b"again")
    assert owner.end() == 0
    again.type(b"\r")
    assert again.end() == 0


def test_resume_refuses_a_session_whose_process_runs(frith: Frith, left: int) -> None:
    refused = frith("resume", "one", "--detach")
    assert refused.code == 1
    assert refused.err.endswith("[SESSION_RUNNING]\n")
    assert pid_of(frith) == left
    assert alive(left)


def test_resume_all_starts_only_idle_sessions(frith: Frith, left: int) -> None:
    for name in ("two", "three"):
        frith("new", name, "--no-attach", *WORK)
    frith("stop", "three")
    resumed = frith("resume", "--all")
    assert (resumed.code, resumed.err) == (0, "frith: two is running.\n")
    assert pid_of(frith) == left
    assert {each["name"] for each in frith("ls", "--json").json if "ptyPid" in each} == {
        "one",
        "two",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_resume_all_starts_sessions_whose_process_was_killed(
    frith: Frith, number: signal.Signals
) -> None:
    frith("new", "one", "--detach", "--", "sleep", "1000")
    os.kill(pid_of(frith), number)
    frith("wait", "one", "--timeout", "60")
    resumed = frith("resume", "--all")
    assert (resumed.code, resumed.err) == (0, "frith: one is running.\n")


def test_resume_all_starts_sessions_that_a_shutdown_ended(
    frith: Frith,
) -> None:
    frith("new", "one", "--detach", "--", "sh", "-c", "trap 'exit 0' HUP TERM; read line")
    shown = frith("show", "one", "--json").json
    process = stat_of(shown["ptyPid"])
    assert process is not None
    keeper = process.parent
    os.kill(keeper, signal.SIGTERM)
    wait_until(lambda: not alive(keeper))
    assert frith("show", "one", "--json").json["status"] == "idle"
    assert frith("resume", "--all").err == "frith: one is running.\n"


@pytest.mark.parametrize("end", ["exit 1", "exit 0", "kill -INT $$", "kill -QUIT $$"])
def test_resume_all_leaves_sessions_that_ended_by_themselves_or_by_a_key(
    frith: Frith, end: str
) -> None:
    frith("new", "one", "--detach", "--", "sh", "-c", f"trap - INT QUIT; read line; {end}")
    frith("send", "one", "")
    frith("wait", "one", "--timeout", "60")
    resumed = frith("resume", "--all")
    assert resumed.code == 0
    assert resumed.err.startswith("frith: Nothing to start:")
    assert "ptyPid" not in frith("show", "one", "--json").json


def test_resume_all_continues_after_a_failed_start(frith: Frith) -> None:
    frith("new", "one", "--no-attach", "--", "no-such-command-at-all")
    frith("new", "two", "--no-attach", *WORK)
    resumed = frith("resume", "--all")
    assert resumed.code == 1
    assert "[COMMAND_NOT_FOUND]" in resumed.err
    assert resumed.err.endswith("frith: two is running.\n")


@pytest.mark.parametrize("arguments", [(), ("one", "--all"), ("--all", "--", "sh")])
def test_resume_takes_one_session_or_all(frith: Frith, arguments: tuple[str, ...]) -> None:
    assert frith("resume", *arguments).code == 2
