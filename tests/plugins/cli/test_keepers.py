"""Sessions whose processes outlive the command."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import anyio
import pytest

from frith import ManagerConfig, SessionManager

from .conftest import ENDS, STATE, WORK, Frith, OnTerminal, Outcome, alive, pid_of

pytestmark = pytest.mark.expensive("starts the command as a process")


def test_a_detached_process_keeps_running(frith: Frith, on_terminal: OnTerminal) -> None:
    terminal = on_terminal("new", "one", *WORK)
    terminal.expect(b"ready")
    pid = pid_of(frith)
    terminal.type(b"\x1d")
    assert terminal.end() == 0
    assert b"the process of one is still running" in terminal.shown
    assert b"`frith attach " in terminal.shown
    shown = frith("show", "one", "--json").json
    assert (shown["ptyPid"], shown["frith"]["holder"]) == (pid, "free")
    assert alive(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_that_ends_the_command_leaves_the_process_running(
    frith: Frith, on_terminal: OnTerminal, number: signal.Signals
) -> None:
    terminal = on_terminal("new", "one", *WORK)
    terminal.expect(b"ready")
    pid = pid_of(frith)
    terminal.send_signal(number)
    assert terminal.end() == (-number if number == signal.SIGKILL else 128 + number)
    assert pid_of(frith) == pid
    assert alive(pid)


def test_a_terminal_that_goes_away_leaves_the_process_running(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    terminal = on_terminal("new", "one", *WORK)
    terminal.expect(b"ready")
    pid = pid_of(frith)
    assert terminal.hang_up() == 128 + signal.SIGHUP
    assert pid_of(frith) == pid
    assert alive(pid)


def test_new_detached_starts_the_process_and_prints_the_id(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    created = frith("new", "one", "--detach", *WORK)
    shown = frith("show", "one", "--json").json
    assert (created.code, created.out) == (0, f"{shown['id']}\n")
    assert shown["status"] == "active"
    assert frith("new", "two", "--detach", "--json", *WORK).json["status"] == "active"
    assert [row.split()[-1] for row in frith("ls").out.splitlines()[1:]] == ["-", "-"]
    on_terminal("attach", "one").expect(b"ready")


@pytest.mark.usefixtures("on_pty")
@pytest.mark.parametrize(
    "arguments", [("new", "two", "--detach"), ("resume", "one", "--detach"), ("resume", "--all")]
)
def test_detach_is_refused_if_the_process_would_end_with_the_command(
    frith: Frith, arguments: tuple[str, ...]
) -> None:
    frith("new", "one", "--no-attach")
    refused = frith(*arguments)
    assert refused.code == 2
    assert "--set terminal=keeper" in refused.err
    assert [each["status"] for each in frith("ls", "--json").json] == ["idle"]


@pytest.mark.usefixtures("left")
def test_several_terminals_show_and_type_at_once(on_terminal: OnTerminal) -> None:
    first, second = on_terminal("attach", "one"), on_terminal("attach", "one")
    first.expect(b"ready")
    second.expect(b"ready")
    first.type(b"from the first\r")
    second.expect(b"got from the first")
    second.type(b"from the second\r")
    first.expect(b"got from the second")


@pytest.mark.usefixtures("left")
def test_a_read_only_attachment_passes_no_input_on(on_terminal: OnTerminal) -> None:
    looking, typing = on_terminal("attach", "one", "--read-only"), on_terminal("attach", "one")
    looking.expect(b"ready")
    looking.type(b"never\r")
    typing.expect(b"ready")
    typing.type(b"seen\r")
    looking.expect(b"got seen")
    assert b"never" not in looking.shown
    looking.type(b"\x1d")
    assert looking.end() == 0


def test_every_attached_terminal_shows_how_the_process_ended(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    host = on_terminal("new", "one", *ENDS)
    host.expect(b"ready")
    looking = on_terminal("attach", "one")
    looking.expect(b"ready")
    looking.type(b"\r")
    for each in (host, looking):
        assert each.end() == 3
        assert b"one ended with exit code 7: error." in each.shown
    assert frith("show", "one", "--json").json["status"] == "error"


def test_after_the_owner_detached_another_attached_command_records_the_end(
    frith: Frith, on_terminal: OnTerminal, repository: Path
) -> None:
    host = on_terminal("new", "one", *ENDS)
    host.expect(b"ready")
    looking = on_terminal("attach", "one")
    looking.expect(b"ready")
    host.type(b"\x1d")
    assert host.end() == 0
    looking.type(b"\r")
    assert looking.end() == 3
    assert b"one ended with exit code 7: error." in looking.shown
    assert '"status": "error"' in (repository / STATE).read_text()


@pytest.mark.usefixtures("left")
def test_an_attached_terminal_shows_that_the_session_was_destroyed(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    attached = on_terminal("attach", "one")
    attached.expect(b"ready")
    assert frith("rm", "one").code == 0
    attached.end()
    assert b"one ended with signal 15" in attached.shown
    assert b"Traceback" not in attached.shown


@pytest.mark.parametrize("arguments", [("attach",), ("tail",), ("send", "text"), ("keys", "Up")])
def test_a_session_without_a_process_has_neither_output_nor_input(
    frith: Frith, on_terminal: OnTerminal, arguments: tuple[str, ...]
) -> None:
    frith("new", "one", "--no-attach")
    command, *rest = arguments
    terminal = on_terminal(command, "one", *rest)
    assert terminal.end() == 1
    assert b"[SESSION_NOT_RUNNING]" in terminal.shown


def test_a_terminal_that_only_its_host_can_show_is_refused(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    on_terminal("--set", "terminal=pty", "new", "one", *WORK).expect(b"ready")
    refused = frith("tail", "one")
    assert refused.code == 1
    assert refused.err.endswith("[TERMINAL_ELSEWHERE]\n")
    assert frith("show", "one", "--json").json["frith"]["holder"] == "held"


@pytest.mark.usefixtures("left")
def test_doctor_accepts_a_process_without_a_host(frith: Frith) -> None:
    assert frith("doctor") == Outcome(0, "", "frith: No findings.\n")


def test_a_session_whose_keeper_was_killed_is_shown_as_idle_and_can_be_resumed(
    frith: Frith, repository: Path
) -> None:
    frith("new", "one", "--detach", *WORK)
    record = json.loads((repository / STATE).read_text())["frith"]
    (keeper,) = (int(found) for found in re.findall(r'"keeper": (\d+)', json.dumps(record)))
    os.kill(keeper, signal.SIGKILL)
    waited = frith("wait", "one", "--timeout", "60")
    assert (waited.code, waited.out) == (0, "idle\n")
    assert frith("resume", "one", "--detach").code == 0
    assert alive(pid_of(frith))


def test_stop_ends_a_process_without_a_host(frith: Frith, left: int) -> None:
    assert frith("stop", "one") == Outcome(0, "", "frith: one is stopped.\n")
    assert not alive(left)
    assert frith("show", "one", "--json").json["status"] == "stopped"


def test_a_host_does_not_replace_a_process_that_it_has_not_adopted(
    frith: Frith, left: int, repository: Path
) -> None:
    async def resume() -> str:
        config = ManagerConfig(workspace=repository, terminal="keeper")
        async with SessionManager(config, restore=False) as manager:
            (session,) = manager.get_all_sessions()
            with pytest.raises(Exception, match="running already") as caught:
                await manager.resume_session(session.id)
            return str(getattr(caught.value, "code", ""))

    assert anyio.run(resume) == "SESSION_RUNNING"
    assert alive(left)


def test_a_host_that_opened_a_terminal_can_end_its_process(
    frith: Frith, left: int, repository: Path
) -> None:
    async def look_and_stop() -> None:
        config = ManagerConfig(workspace=repository, terminal="keeper")
        async with SessionManager(config, restore=False) as manager:
            (session,) = manager.get_all_sessions()
            await manager.open_terminal(session.id)
            await manager.stop_session(session.id)

    anyio.run(look_and_stop)
    assert not alive(left)
    assert frith("show", "one", "--json").json["status"] == "stopped"


@pytest.mark.parametrize(("code", "status"), [(0, "stopped"), (7, "error")])
def test_ls_shows_how_a_process_without_a_host_ended_and_writes_nothing(
    frith: Frith, repository: Path, code: int, status: str
) -> None:
    frith("new", "one", "--detach", "--", "sh", "-c", f"read line; exit {code}")
    frith("send", "one", "")
    before = (repository / STATE).read_bytes()
    waited = frith("wait", "one", "--timeout", "60")
    assert (waited.code, waited.out) == (3 if code else 0, f"{status}\n")
    (listed,) = frith("ls", "--json").json
    assert (listed["status"], "ptyPid" in listed) == (status, False)
    assert listed["frith"]["exit"] == {"code": code, "signal": None}
    assert (repository / STATE).read_bytes() == before
    frith("new", "two", "--no-attach")
    assert f'"status": "{status}"' in (repository / STATE).read_text()
