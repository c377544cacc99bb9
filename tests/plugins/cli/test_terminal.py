"""Input and output of a session without attaching: ``send``, ``keys``, ``tail``."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from frith_cli.attach.tty import CANCEL
from waiting import PATIENCE, wait_until

from .conftest import ENDS, WORK, Frith, OnTerminal, Outcome, alive

pytestmark = pytest.mark.expensive("starts the command as a process")


@pytest.mark.usefixtures("left")
def test_send_types_text_and_enter(frith: Frith, on_terminal: OnTerminal) -> None:
    shown = on_terminal("tail", "-f", "one")
    assert frith("send", "one", "hello") == Outcome(0, "", "")
    shown.expect(b"got hello\r")
    frith("send", "--no-enter", "one", "half a ")
    frith("send", "one", "line\nand another")
    shown.expect(b"got half a line\r")
    shown.expect(b"got and another\r")


def test_send_and_tail_reach_the_session_of_another_host(
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


def test_arrow_keys_follow_the_mode_of_the_program(frith: Frith, on_terminal: OnTerminal) -> None:
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
    assert alive(left)


@pytest.mark.usefixtures("left")
def test_tail_prints_the_scrollback_or_its_last_lines(
    frith: Frith, on_terminal: OnTerminal
) -> None:
    shown = on_terminal("tail", "-f", "one")
    frith("send", "one", "x")
    shown.expect(b"got x\r")
    assert frith("tail", "one").out == "ready\r\nx\r\ngot x\r\n"
    assert frith("tail", "-n", "1", "one").out == "got x\r\n"
    assert frith("tail", "-n", "2", "one").out == "x\r\ngot x\r\n"
    assert frith("tail", "-n", "0", "one").out == ""


def test_tail_restores_the_terminal(frith: Frith, on_terminal: OnTerminal) -> None:
    script = "printf '\\033[?1003h\\033(0 drawn \\033]0;cut off'; read line"
    frith("new", "one", "--detach", "--", "sh", "-c", script)
    wait_until(lambda: "cut off" in frith("tail", "one").out)
    for follow in ((), ("-f",)):
        shown = on_terminal("tail", *follow, "one")
        shown.expect(b"cut off")
        if follow:
            shown.send_signal(signal.SIGINT)
        assert shown.end() == (130 if follow else 0)
        after = shown.shown.partition(b"cut off")[2]
        assert after.startswith(CANCEL)
        for left in (b"\x1b[?1003l", b"\x1b(B", b"\x1b[23;0t"):
            assert left in after


def test_tail_shows_the_output_of_an_ended_session(
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
def test_tail_ends_when_its_output_is_closed(repository: Path) -> None:
    command = [sys.executable, "-m", "frith_cli", "tail", "-f", "one"]
    with subprocess.Popen(command, cwd=repository, stdout=-1, stderr=-1) as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        assert tail.stdout.read(5) == b"ready"
        tail.stdout.close()
        assert tail.stderr.read() == b""
        assert tail.wait(PATIENCE) == 128 + signal.SIGPIPE


def test_tail_ends_when_its_full_output_is_closed(frith: Frith, repository: Path) -> None:
    more_than_a_pipe_holds = "read line; head -c 300000 /dev/zero | tr '\\0' x; read line"
    command = ["sh", "-c", f"echo ready; {more_than_a_pipe_holds}"]
    frith("new", "one", "--detach", "--", *command)
    reader, writer = os.pipe()
    tail = [sys.executable, "-m", "frith_cli", "tail", "-f", "one"]
    with subprocess.Popen(tail, cwd=repository, stdout=writer, stderr=-1) as process:
        assert process.stderr is not None
        assert os.read(reader, 5) == b"ready"
        frith("send", "one", "")
        wait_until(lambda: not select.select([], [writer], [], 0)[1])
        os.close(reader)
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 128 + signal.SIGPIPE
    os.close(writer)


def test_a_signal_ends_a_tail_whose_output_is_not_read(frith: Frith, repository: Path) -> None:
    more_than_a_pipe_holds = "echo ready; head -c 200000 /dev/zero | tr '\\0' x; read line"
    frith("new", "one", "--detach", "--", "sh", "-c", more_than_a_pipe_holds)
    command = [sys.executable, "-m", "frith_cli", "tail", "-f", "one"]
    with subprocess.Popen(command, cwd=repository, stdout=-1) as tail:
        assert tail.stdout is not None
        assert os.read(tail.stdout.fileno(), 5) == b"ready"
        tail.send_signal(signal.SIGINT)
        assert tail.wait(PATIENCE) == 130
