"""The command attached to real processes, in a terminal that is its controlling terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from waiting import PATIENCE

pytestmark = pytest.mark.expensive("starts the command as a process")

# a session leader's first terminal becomes its controlling terminal
RUN = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for standard in (0, 1, 2):
    os.dup2(fd, standard)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Screen:
    """A terminal of 30 lines and 100 columns, and what runs in its foreground."""

    def __init__(self, directory: Path, *command: str) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(30, 100)
        self.found = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, os.ttyname(self.slave), *command],
            cwd=directory,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm", "PS1": "outer> ", "ENV": ""},
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def expect(self, pattern: bytes) -> bytes:
        """Wait until what is shown matches; return the first group; forget all up to there."""
        while not (found := re.search(pattern, self.seen)):
            assert select.select([self.master], [], [], PATIENCE)[0], (pattern, self.seen)
            self.seen += os.read(self.master, 65536)
        self.seen = self.seen[found.end() :]
        return found[found.lastindex or 0]

    def wait(self) -> int:
        """Wait for the command to end; see that the terminal is as it was; return the code."""
        while self.process.poll() is None:
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536)
        assert self.is_as_found()
        return self.process.returncode

    def is_canonical(self) -> bool:
        return bool(termios.tcgetattr(self.slave)[3] & termios.ICANON)

    def is_as_found(self) -> bool:
        return termios.tcgetattr(self.slave) == self.found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def screen(repository: Path) -> Iterator[Callable[..., Screen]]:
    """Run a command in the repository on a screen."""
    started: list[Screen] = []

    def start(*command: str) -> Screen:
        started.append(Screen(repository, *command))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def new(screen: Callable[..., Screen]) -> Callable[..., Screen]:
    """Create a session that runs a command, attached to a screen."""

    def start(*command: str) -> Screen:
        return screen(sys.executable, "-m", "frith_cli", "new", "one", "--", *command)

    return start


def record_of(repository: Path) -> dict[str, str]:
    stored = json.loads((repository / ".claude-container-sessions.json").read_text())
    (record,) = stored["sessions"]
    return dict(record)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


SHELL = ("sh", "-c", "echo pid=$$; exec sh")


@pytest.mark.requirement("R7.1")
def test_a_shell_is_typed_into_and_knows_the_size_of_the_window(
    new: Callable[..., Screen],
) -> None:
    outer = new(*SHELL)
    outer.expect(rb"pid=\d+\D")
    outer.type(b"stty size\r")
    outer.expect(rb"30 100\D")
    outer.resize(40, 120)
    outer.type(b"until [ \"$(stty size)\" = '40 120' ]; do :; done; echo resi''zed\r")
    outer.expect(rb"resized")  # as a line, or on a redrawn screen
    outer.type(b"exit\r")
    assert outer.wait() == 0


def test_a_failed_process_gives_exit_code_3(new: Callable[..., Screen]) -> None:
    outer = new("sh", "-c", "printf '\033[?1049h\033[?25l'; read line; exit 7")
    outer.expect(rb"\x1b\[\?1049h")
    outer.type(b"\r")
    assert outer.wait() == 3
    assert b"\x1b[?1049l" in outer.seen
    assert b"\x1b[?25h" in outer.seen
    assert b"exit code 7" in outer.seen


@pytest.mark.usefixtures("on_pty")
@pytest.mark.requirement("R1.3")
def test_pressing_the_detach_key_twice_ends_a_process_of_the_terminal_pty(
    new: Callable[..., Screen], repository: Path
) -> None:
    outer = new(*SHELL)
    pid = int(outer.expect(rb"pid=(\d+)\r\n"))
    outer.type(b"\x1d")
    outer.expect(rb"Detaching ends the process of one")
    outer.type(b"echo still' 'there\r")
    outer.expect(rb"still there\r\n")
    outer.type(b"\x1d\x1d")
    assert outer.wait() == 0
    assert gone(pid)
    assert record_of(repository)["status"] == "idle"


@pytest.mark.usefixtures("on_pty")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_command_and_its_process_and_restores_the_terminal(
    new: Callable[..., Screen], repository: Path, number: signal.Signals
) -> None:
    outer = new(*SHELL)
    pid = int(outer.expect(rb"pid=(\d+)\r\n"))
    outer.type(b"printf '\\033[?1000h'\r")
    outer.expect(rb"\x1b\[\?1000h")
    outer.process.send_signal(number)
    assert outer.wait() == 128 + number
    assert b"\x1b[?1000l" in outer.seen
    assert gone(pid)
    assert record_of(repository)["status"] == "idle"


@pytest.mark.requirement("R7.5")
def test_a_killed_process_is_reported_and_the_terminal_restored(
    new: Callable[..., Screen], repository: Path
) -> None:
    outer = new(*SHELL)
    os.kill(int(outer.expect(rb"pid=(\d+)\r\n")), signal.SIGKILL)
    assert outer.wait() == 3
    assert b"signal 9" in outer.seen
    assert record_of(repository)["status"] == "error"


@pytest.mark.requirement("R7.4")
def test_the_output_of_a_process_that_ends_at_once_is_shown(new: Callable[..., Screen]) -> None:
    outer = new("echo", "quick as a flash")
    assert outer.wait() == 0
    outer.expect(rb"quick as a flash\r\n")


def test_a_burst_of_output_is_shown_to_its_end(new: Callable[..., Screen]) -> None:
    count = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done"
    outer = new("sh", "-c", f"read line; {count}")
    outer.expect(rb"detaches")
    outer.type(b"\r")
    outer.expect(rb"line 0\r\n")
    outer.expect(rb"line 1999\r\n")
    assert outer.wait() == 0


INNER = "trap 'echo redrawn' WINCH; printf '\\033[?2004h'; echo pid=$$ of=$PPID; exec cat"


TICKING = "echo pid=$$ of=$PPID; while sleep 0.1; do echo tick; done"


def typed_into(shell: Screen, inner: str = INNER) -> int:
    """Create a session from a shell; return the process id of the command that is attached."""
    shell.expect(rb"outer> ")
    command = f'{sys.executable} -m frith_cli new one -- sh -c "{inner}"'.replace("$", "\\$")
    shell.type(command.encode() + b"\r")
    return int(shell.expect(rb"pid=\d+ of=(\d+)\r\n"))


def detach_and_leave(shell: Screen) -> None:
    shell.type(b"\x1d\x1d")
    shell.expect(rb"outer> ")
    shell.type(b"exit\r")
    assert shell.wait() == 0


@pytest.mark.usefixtures("on_pty")
def test_the_command_is_suspended_and_continued_by_a_shell(screen: Callable[..., Screen]) -> None:
    shell = screen("sh", "-i")
    os.kill(typed_into(shell), signal.SIGTSTP)
    shell.expect(rb"\x1b\[\?2004l")
    shell.expect(rb"(?i)stopped|suspended")
    shell.expect(rb"outer> ")
    shell.type(b"fg\r")
    shell.expect(rb"\x1b\[\?2004h")
    shell.type(b"hello\r")
    shell.expect(rb"hello\r\nhello\r\n")
    detach_and_leave(shell)


@pytest.mark.usefixtures("on_pty")
def test_in_the_background_the_command_leaves_the_terminal_to_the_shell(
    screen: Callable[..., Screen],
) -> None:
    shell = screen("sh", "-i")
    os.kill(typed_into(shell), signal.SIGTSTP)
    shell.expect(rb"(?i)stopped|suspended")
    shell.expect(rb"outer> ")
    shell.type(b"bg\r")
    shell.expect(rb"outer> ")
    shell.type(b"echo $((6*7))\r")
    shell.expect(rb"42\r\n")
    assert shell.is_canonical()
    shell.type(b"fg\r")
    shell.expect(rb"\x1b\[\?2004h")
    detach_and_leave(shell)


@pytest.mark.usefixtures("on_pty")
def test_input_for_the_shell_does_not_stop_the_command_in_the_background(
    screen: Callable[..., Screen],
) -> None:
    shell = screen("sh", "-i")
    os.kill(typed_into(shell), signal.SIGTSTP)
    shell.expect(rb"(?i)stopped|suspended")
    shell.type(b"bg\r")
    for number in range(10, 40):
        shell.type(b"sleep 0.01; echo $((%d*2))\r" % number)
        shell.expect(rb"%d\r\n" % (2 * number))
    shell.type(b"jobs\r")
    shell.expect(rb"Running")
    shell.type(b"fg\r")
    shell.expect(rb"\x1b\[\?2004h")
    detach_and_leave(shell)


@pytest.mark.usefixtures("on_pty")
def test_the_command_continues_in_the_foreground_without_sigcont(
    screen: Callable[..., Screen],
) -> None:
    shell = screen("bash", "--norc", "-i")
    os.kill(typed_into(shell, TICKING), signal.SIGTSTP)
    shell.expect(rb"(?i)stopped|suspended")
    shell.type(b"bg\r")
    shell.expect(rb"(?s)outer> .*tick.*tick")
    shell.type(b"fg\r")
    shell.expect(rb"frith_cli new one")
    shell.expect(rb"(?s)tick.*tick")
    shell.type(b"\r")
    shell.expect(rb"(?s)tick.*tick")
    detach_and_leave(shell)


def test_a_command_without_job_control_is_not_suspended(new: Callable[..., Screen]) -> None:
    outer = new("sh", "-c", INNER)
    outer.expect(rb"pid=\d+")
    outer.process.send_signal(signal.SIGTSTP)
    outer.expect(rb"\x1b\[\?2004l")
    outer.expect(rb"\x1b\[\?2004h")
    outer.type(b"hello\r")
    outer.expect(rb"(?s)hello.*hello")  # each may come as it is, or as part of the screen
    outer.type(b"\x1d")
    assert outer.wait() == 0


def test_a_terminal_whose_device_belongs_to_another_user_is_attached(
    screen: Callable[..., Screen],
) -> None:
    without_name = """
import os, sys
name_of = os.ttyname
def refuse(fd):
    if fd < 3:
        raise PermissionError
    return name_of(fd)
os.ttyname = refuse
from frith_cli.main import run
sys.exit(run(sys.argv[1:]))
"""
    outer = screen(sys.executable, "-c", without_name, "new", "one", "--", *SHELL)
    outer.expect(rb"pid=\d+")
    outer.type(b"stty size; exit\r")
    outer.expect(rb"30 100\r\n")
    assert outer.wait() == 0
