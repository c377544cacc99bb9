"""Sessions with a process: attached, detached, resumed, stopped and interrupted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .conftest import Frith, Git, OnTerminal

pytestmark = pytest.mark.expensive("starts the command as a process")

WORK = ("--", "sh", "-c", "echo ready; exec sleep 100")


def _status(frith: Frith, name: str) -> str:
    return str(frith("show", name, "--json").json["status"])


@pytest.mark.requirement("R1.3")
@pytest.mark.parametrize(
    ("script", "code", "says", "status"),
    [
        ("exit 0", 0, b"one ended with exit code 0: stopped.", "stopped"),
        ("exit 7", 3, b"one ended with exit code 7: error.", "error"),
        ("kill -9 $$", 3, b"one ended with signal 9: error.", "error"),
    ],
)
def test_the_end_of_the_process_is_printed(
    frith: Frith, on_terminal: OnTerminal, script: str, code: int, says: bytes, status: str
) -> None:
    terminal = on_terminal("new", "one", "--", "sh", "-c", f"echo ready; read line; {script}")
    terminal.expect(b"ready")
    terminal.type(b"\n")
    assert terminal.end() == code
    assert says in terminal.shown
    assert _status(frith, "one") == status


@pytest.mark.requirement("R7.1")
def test_the_process_works_in_its_worktree_and_reads_what_is_typed(
    frith: Frith, on_terminal: OnTerminal, repository: Path
) -> None:
    terminal = on_terminal("new", "one", "--", "sh", "-c", "pwd; read line; echo got $line")
    terminal.expect(bytes(repository / ".worktrees"))
    terminal.type(b"something\n")
    terminal.expect(b"got something")
    assert terminal.end() == 0


@pytest.mark.usefixtures("on_pty")
def test_detaching_from_the_terminal_pty_warns_and_leaves_the_session_idle(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    terminal = on_terminal("new", "one", "--detach-key", "^B", *WORK)
    terminal.expect(b"Ctrl-B detaches")
    terminal.expect(b"ready")
    terminal.type(b"\x02")
    terminal.expect(b"ends the process")
    terminal.type(b"\x02")
    assert terminal.end() == 0
    assert b"`frith resume " in terminal.shown
    assert _status(frith, "one") == "idle"


WAITS_FOR_THE_END = """
import anyio, frith

ended = anyio.Event()

@frith.hookimpl
async def frith_session_created(event):
    await ended.wait()

@frith.hookimpl
async def frith_process_exited(event):
    ended.set()
"""


@pytest.mark.requirement("R7.4")
@pytest.mark.parametrize("terminal", ["keeper", "pty"])
def test_the_output_of_a_process_that_ends_before_attaching_is_shown(
    on_terminal: OnTerminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, terminal: str
) -> None:
    info = tmp_path / "waits-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: waits\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[frith.plugins]\nwaits = waits\n")
    (tmp_path / "waits.py").write_text(WAITS_FOR_THE_END)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("FRITH_TERMINAL", terminal)
    shown = on_terminal("new", "--", "sh", "-c", "echo quick; exit 7")
    shown.expect(b"quick")
    shown.expect(b"exit code 7: error.")
    assert shown.end() == 3


@pytest.mark.requirement("R2.10")
def test_resume_runs_the_command_again_or_another(frith: Frith, on_terminal: OnTerminal) -> None:
    frith("new", "one", "--no-attach", "--", "sh", "-c", "echo the first; read line")
    again = on_terminal("resume", "one")
    again.expect(b"the first")
    again.type(b"\n")
    assert again.end() == 0
    other = on_terminal("resume", "one", "--", "sh", "-c", "echo the second; read line")
    other.expect(b"the second")
    other.type(b"\n")
    assert other.end() == 0


@pytest.mark.requirement("R2.11")
def test_resume_refuses_the_session_of_another_command(
    on_terminal: OnTerminal, frith: Frith
) -> None:
    on_terminal("new", "one", *WORK).expect(b"ready")
    second = on_terminal("resume", "one")
    assert second.end() == 1
    assert b"[SESSION_OWNED]" in second.shown


def test_stop_ends_the_process_of_another_command(frith: Frith, on_terminal: OnTerminal) -> None:
    owner = on_terminal("new", "one", *WORK)
    owner.expect(b"ready")
    stopped = frith("stop", "one")
    assert (stopped.code, stopped.err) == (0, "frith: one is stopped.\n")
    assert owner.end() == 0
    assert b"one ended with signal 15: stopped." in owner.shown
    assert frith("stop", "one", "--json").json["status"] == "stopped"


@pytest.mark.usefixtures("on_pty")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_process_and_leaves_the_session_idle(
    frith: Frith, on_terminal: OnTerminal, number: signal.Signals
) -> None:
    owner = on_terminal("new", "one", *WORK)
    owner.expect(b"ready")
    owner.send_signal(number)
    assert owner.end() == 128 + number
    assert b"Traceback" not in owner.shown
    assert _status(frith, "one") == "idle"


@pytest.mark.requirement("R2.2")
def test_an_interrupted_creation_leaves_nothing(
    frith: Frith, on_terminal: OnTerminal, repository: Path, git: Git
) -> None:
    halfway = repository.with_name("halfway")
    os.mkfifo(halfway)
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\necho now >{halfway}\nexec sleep 100\n")
    hook.chmod(0o755)
    terminal = on_terminal("new", "one", *WORK)
    assert halfway.read_text() == "now\n"
    terminal.send_signal(signal.SIGTERM)
    assert terminal.end() == 143
    assert frith("ls", "--json").json == []
    assert frith("doctor").err == "frith: No findings.\n"
    assert not any((repository / ".worktrees").glob("*"))
    assert not git(repository, "branch", "--list", "feature/one")


@pytest.mark.usefixtures("on_pty")
def test_a_terminal_that_goes_away_leaves_the_session_idle(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    owner = on_terminal("new", "one", *WORK)
    owner.expect(b"ready")
    assert owner.hang_up() == 128 + signal.SIGHUP
    assert _status(frith, "one") == "idle"


def test_a_command_that_does_not_exist_is_refused_and_nothing_is_left(
    frith: Frith, on_terminal: OnTerminal, repository: Path
) -> None:
    terminal = on_terminal("new", "one", "--", "no-such-command-at-all")
    assert terminal.end() == 1
    assert b"[COMMAND_NOT_FOUND]" in terminal.shown
    assert frith("ls", "--json").json == []
    assert not any((repository / ".worktrees").glob("*"))
