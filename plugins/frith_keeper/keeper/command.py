"""The command: started on a terminal of its own, awaited, reaped."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import termios
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IUTF8 = 0x4000
"""Erasing removes whole UTF-8 characters; see termios(3)."""
_ERROR = struct.Struct("<?i")


class NotStartedError(Exception):
    """The command could not be executed."""

    def __init__(self, number: int, *, in_directory: bool) -> None:
        super().__init__(os.strerror(number))
        self.number = number
        self.in_directory = in_directory
        """Whether it was the working directory that failed."""


class Command:
    """A process that leads its own session on its own terminal.

    It stays a zombie until :meth:`reap`: up to then its id names its process group and its
    session and nothing else.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        """Start what ``request`` says.

        Raises:
            NotStartedError: it cannot be executed.
            OSError: there is no terminal, no process.
        """
        self.master, slave = os.openpty()
        self.tty = os.ttyname(slave)
        self.size = int(request["rows"]), int(request["columns"])
        self.set_size(*self.size)
        attributes = termios.tcgetattr(slave)
        attributes[0] |= _IUTF8
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        os.set_blocking(self.master, False)
        try:
            self.pid = _fork(request, slave)
        finally:
            os.close(slave)
        self.pidfd = os.pidfd_open(self.pid)
        self.start_time = start_time(self.pid)

    def set_size(self, rows: int, columns: int) -> None:
        """Give the terminal a size in character cells."""
        termios.tcsetwinsize(self.master, (rows, columns))

    def exit_status(self) -> dict[str, int] | None:
        """Return how it ended, ``None`` while it runs. Does not reap it."""
        found = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        return {"code" if found.si_code == os.CLD_EXITED else "signal": found.si_status}

    def continue_if_stopped(self) -> None:
        """Continue its process group if it has stopped itself: nobody has a shell to do so.

        As tmux does; those that may not use the terminal would only stop again.
        """
        with suppress(ChildProcessError):
            found = os.waitid(os.P_PIDFD, self.pidfd, os.WSTOPPED | os.WNOHANG)
            if found is not None and found.si_status not in (signal.SIGTTIN, signal.SIGTTOU):
                self.signal_group(signal.SIGCONT)

    def foreground(self) -> dict[str, int]:
        """Return the process group that has the terminal, and its local modes: termios(3).

        Raises:
            OSError, termios.error: the terminal tells no more.
        """
        return {
            "group": os.tcgetpgrp(self.master),
            "local": termios.tcgetattr(self.master)[3],
        }

    def signal_group(self, *numbers: int) -> None:
        """Send signals to the process group of the process."""
        for number in numbers:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def signal_session(self, *numbers: int) -> None:
        """Send signals to every process of its session, also to those in other groups of it."""
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with suppress(OSError):  # it has ended, or become another user's
                if int(_fields(pid)[3]) == self.pid:
                    for number in numbers:
                        os.kill(pid, number)

    def reap(self) -> None:
        """Let its id go."""
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)


def _fork(request: dict[str, Any], slave: int) -> int:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(request, slave, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        failure = pipe.read()
    if not failure:
        return pid
    os.waitpid(pid, 0)
    in_directory, number = _ERROR.unpack(failure)
    raise NotStartedError(number, in_directory=in_directory)


def _become(request: dict[str, Any], slave: int, pipe: int) -> None:
    """Become the command, in the child; never return."""
    in_directory = False
    number = errno.EINVAL
    try:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        _reset_signals()
        in_directory = True
        os.chdir(os.fsencode(request["cwd"]))
        in_directory = False
        argv = [os.fsencode(each) for each in request["argv"]]
        env = dict(os.fsencode(each).split(b"=", 1) for each in request["env"])
        path = os.fsencode(request["path"])
        try:
            os.execve(path, argv, env)  # noqa: S606 - what was asked for, by nobody else
        except OSError as error:
            if error.errno != errno.ENOEXEC or not request["script"]:
                raise
            os.execve(b"/bin/sh", [b"/bin/sh", path, *argv[1:]], env)  # noqa: S606 - as above
    except OSError as error:
        number = error.errno or number
    finally:
        os.write(pipe, _ERROR.pack(in_directory, number))
        os._exit(127)


def _reset_signals() -> None:
    for number in signal.valid_signals():
        with suppress(OSError, ValueError):  # SIGKILL, SIGSTOP, what the C library keeps
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since boot."""
    return _fields(pid)[19].decode()


def _fields(pid: int) -> list[bytes]:
    """Return what proc_pid_stat(5) tells after the name of the command: from the state on."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()
