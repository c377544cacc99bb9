"""The process that a terminal was opened for, leader of its session: awaited through a pidfd.

It stays a zombie until :meth:`Leader.reap`; up to then its id names its process group and its
session and nothing else. See pidfd_open(2), waitid(2).
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from frith.logs import log
from frith.model import ExitStatus

_UNKNOWN = ExitStatus(code=255)


class Leader:
    """A child of this process that leads its own session."""

    __slots__ = ("_closed", "fd", "pid", "reaped")

    def __init__(self, pid: int) -> None:
        """Take charge of the child ``pid``.

        Raises:
            OSError: it cannot be held; it was killed, or is gone already.
        """
        self.pid = pid
        self.reaped = False
        """Whether its id may by now be another's."""
        self._closed = False
        try:
            self.fd = os.pidfd_open(pid)
            """Readable once the process has ended."""
        except ProcessLookupError:
            raise
        except OSError:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def status(self) -> ExitStatus | None:
        """Return how it ended, ``None`` while it runs. Does not reap it."""
        try:
            ended = os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            # Somebody else in this process waits for any child, and its id is not ours any more.
            self.reaped = True
            log.warning("terminal_exit_status_lost", pid=self.pid)
            return _UNKNOWN
        if ended is None:
            return None
        if ended.si_code == os.CLD_EXITED:
            return ExitStatus(code=ended.si_status)
        return ExitStatus(signal=ended.si_status)

    def continue_if_stopped(self) -> bool:
        """Continue its process group if it has stopped; return whether it had.

        Not if it may not use the terminal: it would only stop again.
        """
        if self._closed:
            return False
        with suppress(ChildProcessError):
            found = os.waitid(os.P_PIDFD, self.fd, os.WSTOPPED | os.WNOHANG)
            if found is not None and found.si_status not in (signal.SIGTTIN, signal.SIGTTOU):
                self.signal_group(signal.SIGCONT)
                return True
        return False

    def signal_group(self, number: int) -> None:
        """Send a signal to its process group. Only before :meth:`reap`.

        Raises:
            ValueError: there is no such signal.
        """
        if number not in signal.valid_signals():
            raise ValueError(f"There is no signal {number}.")
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def reap(self) -> None:
        """Release the ended process, and its id to the system."""
        if not self._closed:
            self.reaped = self._closed = True
            with suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG)
            os.close(self.fd)
