"""Starts a process while the event loop goes on: in a thread that lives no longer than that.

Even ``posix_spawn`` returns only when the program has been read and executed: from a slow disk
that takes a while, and looking for the command, opening a terminal and reading ``/proc`` add to
it.
"""

from __future__ import annotations

import os
import sys
import termios
from _thread import start_new_thread
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import gettrace
from typing import Generic, TypeVar

from anyio import Event, from_thread
from anyio.lowlevel import current_token

from spinney.errors import SpawnError
from spinney.ports import SpawnRequest
from spinney_pty._group import Group
from spinney_pty._launch import launch
from spinney_pty._leader import Leader
from spinney_pty._libc import PosixSpawn
from spinney_pty._processes import stat_of

T = TypeVar("T")

_IUTF8 = 0x4000
"""Erasing removes whole UTF-8 characters; see termios(3)."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that runs in a terminal; whoever has it owns the descriptors."""

    leader: Leader
    master: int
    slave_path: str
    start_time: str | None
    group: Group | None


class Thread(Generic[T]):
    """One call in a thread of its own, which ends with it."""

    def __init__(self, function: Callable[[], T]) -> None:
        """Begin to call ``function``.

        Raises:
            RuntimeError: the system gives no thread.
        """
        self._function = function
        self._token = current_token()
        self._done = Event()
        self._result: T
        self._error: BaseException | None = None
        # threading.Thread would keep the event loop waiting until the thread runs.
        start_new_thread(self._run, ())

    def _run(self) -> None:
        sys.settrace(gettrace())  # as threading.Thread does: debuggers and coverage see it, too
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error
        from_thread.run_sync(self._done.set, token=self._token)

    async def result(self) -> T:
        """Wait for the call; return what it returns, raise what it raises."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result


def start(
    spawner: PosixSpawn, request: SpawnRequest, env: Mapping[str, str], terminal_id: str
) -> Started:
    """Open a terminal and start the process of ``request`` in it; blocks until it runs.

    Raises:
        CommandNotFoundError, WorkingDirectoryError, SpawnError: see ``TerminalSpawner.spawn``.
            Nothing is left then.
    """
    try:
        master, slave = os.openpty()
    except OSError as error:
        reason = f"there is no free terminal ({error.strerror}); close some sessions"
        raise SpawnError(request.command, reason) from error
    try:
        slave_path = os.ttyname(slave)
        _prepare(request, master, slave)
        pid = launch(spawner, request, env, slave_path)
        stat = stat_of(pid)
        try:
            leader = Leader(pid)
        except OSError as error:
            raise SpawnError(request.command, f"{error}; close some sessions") from error
        group = Group.with_process(pid, terminal_id)
        return Started(leader, master, slave_path, stat.start_time if stat else None, group)
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)


def _prepare(request: SpawnRequest, master: int, slave: int) -> None:
    """Set what a process finds: window size, UTF-8 line editing."""
    size = request.size
    if not all(1 <= cells <= 0xFFFF for cells in (size.rows, size.columns)):
        reason = f"a terminal cannot have {size.rows} rows and {size.columns} columns"
        raise SpawnError(request.command, reason)
    termios.tcsetwinsize(slave, (size.rows, size.columns))
    attributes = termios.tcgetattr(slave)
    attributes[0] |= _IUTF8
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    os.set_blocking(master, False)
