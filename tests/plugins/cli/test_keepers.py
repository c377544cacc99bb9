"""Sessions whose processes outlive the command: left, found again, ended from anywhere."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from frith import ManagerConfig, SessionManager
from frith_cli._tty import CANCEL
from frith_os.processes import stat_of
from waiting import PATIENCE, wait_until

from .conftest import Outcome, Terminal

pytestmark = pytest.mark.expensive("starts the command as a process")

Frith = Callable[..., Outcome]
OnTerminal = Callable[..., Terminal]
STATE = ".claude-container-sessions.json"
WORK = ("--", "sh", "-c", "echo ready; while read line; do echo got $line; done")
ENDS = ("--", "sh", "-c", "echo ready; read line; exit 7")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _pid(frith: Frith, name: str = "one") -> int:
    return int(frith("show", name, "--json").json["ptyPid"])


@pytest.fixture
def left(frith: Frith) -> int:
    """The process of a session called ``one`` that nobody hosts: it repeats what it reads."""
    assert frith("new", "one", "--detach", *WORK).code == 0
    return _pid(frith)


def test_detaching_leaves_the_process_running_and_says_so(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    terminal = on_terminal("new", "one", *WORK)
    terminal.expect(b"ready")
    pid = _pid(frith)
    terminal.type(b"\x1d")
    assert terminal.end() == 0
    assert b"the process of one runs on" in terminal.shown
    assert b"`frith attach " in terminal.shown
    shown = frith("show", "one", "--json").json
    assert (shown["ptyPid"], shown["frith"]["holder"]) == (pid, "free")
    assert _lives(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_that_ends_the_command_leaves_the_process_running(
    frith: Frith, on_terminal: OnTerminal, number: signal.Signals
) -> None:
    terminal = on_terminal("new", "one", *WORK)
    terminal.expect(b"ready")
    pid = _pid(frith)
    terminal.signal(number)
    assert terminal.end() == (-number if number == signal.SIGKILL else 128 + number)
    assert _pid(frith) == pid
    assert _lives(pid)


def test_a_terminal_that_goes_away_leaves_the_process_running(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    terminal = on_terminal("new", "one", *WORK)
    terminal.expect(b"ready")
    pid = _pid(frith)
    assert terminal.hang_up() == 128 + signal.SIGHUP
    assert _pid(frith) == pid
    assert _lives(pid)


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
def test_what_would_end_with_the_command_is_not_left(
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
def test_who_attaches_only_to_look_passes_nothing_on(on_terminal: OnTerminal) -> None:
    looking, typing = on_terminal("attach", "one", "--read-only"), on_terminal("attach", "one")
    looking.expect(b"ready")
    looking.type(b"never\r")
    typing.expect(b"ready")
    typing.type(b"seen\r")
    looking.expect(b"got seen")
    assert b"never" not in looking.shown
    looking.type(b"\x1d")
    assert looking.end() == 0


def test_all_who_are_attached_are_told_how_the_process_ended(
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


def test_who_is_left_when_the_owner_detached_records_how_the_process_ended(
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
def test_who_is_attached_is_told_that_the_session_was_destroyed(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    attached = on_terminal("attach", "one")
    attached.expect(b"ready")
    assert frith("rm", "one").code == 0
    attached.end()
    assert b"one ended with signal 15" in attached.shown
    assert b"Traceback" not in attached.shown


@pytest.mark.parametrize("arguments", [("attach",), ("tail",), ("send", "text"), ("keys", "Up")])
def test_a_session_without_a_process_is_neither_shown_nor_typed_into(
    frith: Frith, on_terminal: OnTerminal, arguments: tuple[str, ...]
) -> None:
    frith("new", "one", "--no-attach")
    command, *rest = arguments
    terminal = on_terminal(command, "one", *rest)
    assert terminal.end() == 1
    assert b"[SESSION_NOT_RUNNING]" in terminal.shown


def test_a_terminal_that_only_its_host_can_show_is_named(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    on_terminal("--set", "terminal=pty", "new", "one", *WORK).expect(b"ready")
    refused = frith("tail", "one")
    assert refused.code == 1
    assert refused.err.endswith("[TERMINAL_ELSEWHERE]\n")
    assert frith("show", "one", "--json").json["frith"]["holder"] == "held"


@pytest.mark.usefixtures("left")
def test_a_process_that_nobody_hosts_is_nothing_that_doctor_finds_wrong(frith: Frith) -> None:
    assert frith("doctor") == Outcome(0, "", "frith: All is well.\n")


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
    assert _lives(_pid(frith))


def test_stop_ends_a_process_that_nobody_hosts(frith: Frith, left: int) -> None:
    assert frith("stop", "one") == Outcome(0, "", "frith: one is stopped.\n")
    assert not _lives(left)
    assert frith("show", "one", "--json").json["status"] == "stopped"


def test_restart_gives_a_session_a_new_process(frith: Frith, left: int) -> None:
    restarted = frith("restart", "one", "--detach")
    assert restarted.code == 0
    assert "one runs." in restarted.err
    assert not _lives(left)
    assert _lives(_pid(frith))


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


def test_resume_does_not_touch_a_process_that_runs_on(frith: Frith, left: int) -> None:
    refused = frith("resume", "one", "--detach")
    assert refused.code == 1
    assert refused.err.endswith("[SESSION_RUNNING]\n")
    assert _pid(frith) == left
    assert _lives(left)


def test_a_host_that_has_not_adopted_a_process_does_not_replace_it(
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
    assert _lives(left)


def test_who_has_looked_at_a_process_can_still_end_it(
    frith: Frith, left: int, repository: Path
) -> None:
    async def look_and_stop() -> None:
        config = ManagerConfig(workspace=repository, terminal="keeper")
        async with SessionManager(config, restore=False) as manager:
            (session,) = manager.get_all_sessions()
            await manager.open_terminal(session.id)
            await manager.stop_session(session.id)

    anyio.run(look_and_stop)
    assert not _lives(left)
    assert frith("show", "one", "--json").json["status"] == "stopped"


def test_resume_all_starts_what_is_idle_and_nothing_else(frith: Frith, left: int) -> None:
    for name in ("two", "three"):
        frith("new", name, "--no-attach", *WORK)
    frith("stop", "three")
    resumed = frith("resume", "--all")
    assert (resumed.code, resumed.err) == (0, "frith: two runs.\n")
    assert _pid(frith) == left
    assert {each["name"] for each in frith("ls", "--json").json if "ptyPid" in each} == {
        "one",
        "two",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_resume_all_starts_what_was_killed_though_nobody_asked_for_that(
    frith: Frith, number: signal.Signals
) -> None:
    frith("new", "one", "--detach", "--", "sleep", "1000")
    os.kill(_pid(frith), number)
    frith("wait", "one", "--timeout", "60")
    resumed = frith("resume", "--all")
    assert (resumed.code, resumed.err) == (0, "frith: one runs.\n")


def test_resume_all_starts_what_ended_in_order_because_the_machine_went_down(
    frith: Frith,
) -> None:
    frith("new", "one", "--detach", "--", "sh", "-c", "trap 'exit 0' HUP TERM; read line")
    shown = frith("show", "one", "--json").json
    keeper = stat_of(shown["ptyPid"]).parent
    os.kill(keeper, signal.SIGTERM)
    wait_until(lambda: not _lives(keeper))
    assert frith("show", "one", "--json").json["status"] == "idle"
    assert frith("resume", "--all").err == "frith: one runs.\n"


@pytest.mark.parametrize("end", ["exit 1", "exit 0", "kill -INT $$", "kill -QUIT $$"])
def test_resume_all_leaves_what_ended_by_itself_or_by_a_key_and_says_so(
    frith: Frith, end: str
) -> None:
    frith("new", "one", "--detach", "--", "sh", "-c", f"trap - INT QUIT; read line; {end}")
    frith("send", "one", "")
    frith("wait", "one", "--timeout", "60")
    resumed = frith("resume", "--all")
    assert resumed.code == 0
    assert resumed.err.startswith("frith: Nothing to start:")
    assert "ptyPid" not in frith("show", "one", "--json").json


def test_resume_all_goes_on_where_one_cannot_be_started(frith: Frith) -> None:
    frith("new", "one", "--no-attach", "--", "no-such-command-at-all")
    frith("new", "two", "--no-attach", *WORK)
    resumed = frith("resume", "--all")
    assert resumed.code == 1
    assert "[COMMAND_NOT_FOUND]" in resumed.err
    assert resumed.err.endswith("frith: two runs.\n")


@pytest.mark.parametrize("arguments", [(), ("one", "--all"), ("--all", "--", "sh")])
def test_resume_takes_one_session_or_all(frith: Frith, arguments: tuple[str, ...]) -> None:
    assert frith("resume", *arguments).code == 2


@pytest.mark.usefixtures("left")
def test_send_types_text_and_enter(frith: Frith, on_terminal: OnTerminal) -> None:
    shown = on_terminal("tail", "-f", "one")
    assert frith("send", "one", "hello") == Outcome(0, "", "")
    shown.expect(b"got hello\r")
    frith("send", "--no-enter", "one", "half a ")
    frith("send", "one", "line\nand another")
    shown.expect(b"got half a line\r")
    shown.expect(b"got and another\r")


def test_what_a_host_runs_is_typed_into_and_shown_while_the_host_goes_on(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    host = on_terminal("new", "one", *WORK)
    host.expect(b"ready")
    before = frith("show", "one", "--json").json["frith"]["owner"]
    frith("send", "one", "hello")
    host.expect(b"got hello")
    assert "got hello" in frith("tail", "one").out
    after = frith("show", "one", "--json").json
    assert (after["frith"]["holder"], after["frith"]["owner"]) == ("held", before)
    host.type(b"still here\r")
    host.expect(b"got still here")


@pytest.mark.usefixtures("left")
def test_keys_are_pressed_by_name(frith: Frith) -> None:
    assert frith("keys", "one", "h", "i", "Enter").code == 0
    assert frith("keys", "one", "C-c").code == 0
    assert frith("wait", "one", "--timeout", "60", "--json").json["frith"]["exit"] == {
        "code": None,
        "signal": signal.SIGINT,
    }


def test_arrows_are_sent_as_the_program_has_asked_for(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    script = r"printf '\033[?1hready'; stty raw -echo; printf set; dd bs=1 count=3 2>&- | od -c"
    frith("new", "one", "--detach", "--", "sh", "-c", script)
    shown = on_terminal("tail", "-f", "one")
    shown.expect(b"readyset")
    frith("keys", "one", "Up")
    shown.expect(b"033   O   A")


def test_an_unknown_key_is_refused_with_the_nearest(frith: Frith, left: int) -> None:
    refused = frith("keys", "one", "a", "Entr")
    assert refused.code == 2
    assert "Did you mean 'Enter'?" in refused.err
    assert "got" not in frith("tail", "one").out
    assert _lives(left)


@pytest.mark.usefixtures("left")
def test_tail_prints_what_is_kept_or_the_last_lines_as_they_were_written(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    shown = on_terminal("tail", "-f", "one")
    frith("send", "one", "x")
    shown.expect(b"got x\r")
    assert frith("tail", "one").out == "ready\r\nx\r\ngot x\r\n"
    assert frith("tail", "-n", "1", "one").out == "got x\r\n"
    assert frith("tail", "-n", "2", "one").out == "x\r\ngot x\r\n"
    assert frith("tail", "-n", "0", "one").out == ""


def test_tail_leaves_the_terminal_as_it_was(frith: Frith, on_terminal: OnTerminal) -> None:
    script = "printf '\\033[?1003h\\033(0 drawn \\033]0;cut off'; read line"
    frith("new", "one", "--detach", "--", "sh", "-c", script)
    wait_until(lambda: "cut off" in frith("tail", "one").out)
    for follow in ((), ("-f",)):
        shown = on_terminal("tail", *follow, "one")
        shown.expect(b"cut off")
        if follow:
            shown.signal(signal.SIGINT)
        assert shown.end() == (130 if follow else 0)
        after = shown.shown.partition(b"cut off")[2]
        assert after.startswith(CANCEL)
        for left in (b"\x1b[?1003l", b"\x1b(B", b"\x1b[23;0t"):
            assert left in after


def test_tail_shows_also_what_a_session_wrote_that_has_ended(
    frith: Frith, on_terminal: OnTerminal, repository: Path
) -> None:
    frith("new", "one", "--detach", *ENDS)
    frith("send", "one", "last words")
    assert frith("wait", "--for", "error", "one").out == "error\n"
    ended = frith("tail", "--follow", "one")
    assert (ended.code, ended.out, ended.err) == (0, "ready\r\nlast words\r\n", "")
    attached = on_terminal("attach", "one")
    assert attached.end() == 1
    assert b"[SESSION_NOT_RUNNING]" in attached.shown
    frith("resume", "one", "--detach", "--", "sh", "-c", "echo again; read -r line")
    on_terminal("tail", "-f", "one").expect(b"again")
    assert frith("tail", "one").out == "again\r\n"
    frith("rm", "one")
    assert list((repository / ".git/frith/outputs").iterdir()) == []


def test_tail_follows_until_the_process_ends(frith: Frith, on_terminal: OnTerminal) -> None:
    frith("new", "one", "--detach", *ENDS)
    shown = on_terminal("tail", "--follow", "one")
    shown.expect(b"ready")
    frith("send", "one", "")
    assert shown.end() == 0


@pytest.mark.usefixtures("left")
def test_tail_ends_when_nobody_reads_what_it_prints(repository: Path) -> None:
    command = [sys.executable, "-m", "frith_cli", "tail", "-f", "one"]
    with subprocess.Popen(command, cwd=repository, stdout=-1, stderr=-1) as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        assert tail.stdout.read(5) == b"ready"
        tail.stdout.close()
        assert tail.stderr.read() == b""
        assert tail.wait(PATIENCE) == 128 + signal.SIGPIPE


def test_tail_ends_by_a_signal_though_nobody_takes_what_it_prints(
    frith: Frith, repository: Path
) -> None:
    more_than_a_pipe_holds = "echo ready; head -c 200000 /dev/zero | tr '\\0' x; read line"
    frith("new", "one", "--detach", "--", "sh", "-c", more_than_a_pipe_holds)
    command = [sys.executable, "-m", "frith_cli", "tail", "-f", "one"]
    with subprocess.Popen(command, cwd=repository, stdout=-1) as tail:
        assert tail.stdout is not None
        assert os.read(tail.stdout.fileno(), 5) == b"ready"
        tail.send_signal(signal.SIGINT)
        assert tail.wait(PATIENCE) == 130


@pytest.mark.parametrize(("code", "status"), [(0, "stopped"), (7, "error")])
def test_ls_shows_how_a_process_ended_that_nobody_hosted_and_writes_nothing(
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
