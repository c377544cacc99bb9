"""Starts a process; blocks until it runs, so it is called in a thread.

Even ``posix_spawn`` returns only when the program has been read and executed: from a slow disk
that takes a while, and looking for the command, opening a terminal and reading ``/proc`` add to
it.
"""

from __future__ import annotations

import os
import termios
from contextlib import suppress
from dataclasses import dataclass

from frith.errors import SpawnError
from frith.ports import SpawnRequest
from frith_pty._group import Group
from frith_pty._launch import launch
from frith_pty._leader import Leader
from frith_pty._libc import PosixSpawn
from frith_terminals.commands import check
from frith_terminals.environment import EnvironmentOptions, environment
from frith_terminals.processes import stat_of

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


def start(
    spawner: PosixSpawn, request: SpawnRequest, options: EnvironmentOptions, terminal_id: str
) -> Started:
    """Open a terminal and start the process of ``request`` in it; blocks until it runs.

    Raises:
        CommandNotFoundError, WorkingDirectoryError, SpawnError: see ``TerminalSpawner.spawn``.
            Nothing is left then.
    """
    env = environment(request, options, terminal_id)
    check(request, env)
    try:
        master, slave = os.openpty()
    except OSError as error:
        reason = f"there is no free terminal ({error.strerror}); close some sessions"
        raise SpawnError(request.command, reason) from error
    try:
        slave_path = os.ttyname(slave)
        _prepare(request, master, slave)
        pid = launch(spawner, request, env, slave_path)
        try:
            leader = Leader(pid)
        except OSError as error:
            raise SpawnError(request.command, f"{error}; close some sessions") from error
        stat = None
        with suppress(OSError):
            stat = stat_of(pid)
        group = Group.with_process(pid, terminal_id)
        return Started(leader, master, slave_path, stat.start_time if stat else None, group)
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)


def _prepare(request: SpawnRequest, master: int, slave: int) -> None:
    """Set what a process finds: window size, UTF-8 line editing."""
    termios.tcsetwinsize(slave, (request.size.rows, request.size.columns))
    attributes = termios.tcgetattr(slave)
    attributes[0] |= _IUTF8
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    os.set_blocking(master, False)
