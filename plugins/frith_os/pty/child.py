"""The child that leads its own session on a pseudo-terminal: awaited, signalled, reaped.

See pty(7), pidfd_open(2), waitid(2).
"""

from __future__ import annotations

import errno
import os
import signal
import termios
from contextlib import suppress

from frith_os.processes import all_pids, stat_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_IUTF8 = 0x4000
"""Erasing removes whole UTF-8 characters; see termios(3)."""
SHELL = b"/bin/sh"


def open_pty(rows: int, columns: int) -> tuple[int, int, str]:
    """Open a pseudo-terminal of this size.

    Returns:
        The master end, which does not block; the slave end, and its path.

    Raises:
        OSError: there is none left.
    """
    master, slave = os.openpty()
    try:
        termios.tcsetwinsize(slave, (rows, columns))
        attributes = termios.tcgetattr(slave)
        attributes[0] |= _IUTF8
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        os.set_blocking(master, False)
        return master, slave, os.ttyname(slave)
    except BaseException:
        os.close(master)
        os.close(slave)
        raise


def spawn(
    start: Callable[[bytes, list[bytes]], int], path: bytes, argv: list[bytes], *, is_script: bool
) -> int:
    """Start ``path`` with ``start``; a script without ``#!`` with ``/bin/sh``, as execvp(3) does.

    Raises:
        OSError: as ``start``.
    """
    try:
        return start(path, argv)
    except OSError as error:
        if error.errno != errno.ENOEXEC or not is_script:
            raise
        return start(SHELL, [SHELL, path, *argv[1:]])


class Child:
    """A child of this process that leads its own session.

    It stays a zombie until :meth:`reap`: up to then its id names its process group and its
    session and nothing else.
    """

    __slots__ = ("fd", "is_reaped", "pid")

    def __init__(self, pid: int) -> None:
        """Take charge of the child ``pid``.

        Raises:
            OSError: no descriptor is left, so it was killed; or it is gone already.
        """
        self.pid = pid
        self.is_reaped = False
        """Whether its id may be another process's by now."""
        try:
            self.fd = os.pidfd_open(pid)
            """Readable once the process has ended; -1 once it is reaped."""
        except ProcessLookupError:
            raise
        except OSError:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def exit_status(self) -> dict[str, int] | None:
        """Return its exit ``code`` or the ``signal`` that ended it; ``None`` while it runs.

        Does not reap it.

        Raises:
            ChildProcessError: something else in this process has reaped it.
        """
        try:
            found = os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            self.is_reaped = True
            raise
        if found is None:
            return None
        return {"code" if found.si_code == os.CLD_EXITED else "signal": found.si_status}

    def continue_if_stopped(self) -> bool:
        """Continue its process group if it has stopped; return whether it had.

        As tmux does, because no shell above it would. Not if it stopped because it may not use
        the terminal: it would only stop again.
        """
        if self.fd < 0:
            return False
        with suppress(ChildProcessError):
            found = os.waitid(os.P_PIDFD, self.fd, os.WSTOPPED | os.WNOHANG)
            if found is not None and found.si_status not in (signal.SIGTTIN, signal.SIGTTOU):
                self.signal_group(signal.SIGCONT)
                return True
        return False

    def signal_group(self, *numbers: int) -> None:
        """Send signals to its process group. Only before :meth:`reap`."""
        for number in numbers:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def signal_session(self, *numbers: int) -> None:
        """Send signals to every process of its session, those in other groups included."""
        for pid in all_pids():
            with suppress(OSError):  # it has ended, or become another user's
                if (stat := stat_of(pid)) and stat.session == self.pid:
                    for number in numbers:
                        os.kill(pid, number)

    def reap(self) -> None:
        """Release the ended process, and its id to the system."""
        if self.fd >= 0:
            self.is_reaped = True
            with suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG)
            os.close(self.fd)
            self.fd = -1
