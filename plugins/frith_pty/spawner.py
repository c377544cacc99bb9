"""The provider `pty`: opens pseudo-terminals and starts processes in them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from anyio import CancelScope, CapacityLimiter, create_task_group, lowlevel

from frith.errors import SpawnError, UnsupportedPlatformError
from frith.model import Session
from frith.ports import SpawnRequest, SweepReport, TerminalSpawner
from frith_os.processes import stat_of
from frith_pty.posix_spawn import PosixSpawn
from frith_pty.start import Started, start
from frith_pty.stops import Stops
from frith_pty.terminal import PtyTerminal, Shared
from frith_pty.turns import Turns
from frith_terminals.options import TerminalOptions
from frith_terminals.readiness import Readiness
from frith_terminals.sweeping import sweep
from frith_terminals.threads import start_in_thread


@asynccontextmanager
async def open_spawner(
    options: TerminalOptions, workspace: str, limiter: CapacityLimiter | None = None
) -> AsyncIterator[PtySpawner]:
    """Open the provider; when it closes, every process of its terminals has ended.

    Raises:
        UnsupportedPlatformError: there are no pidfds, no /proc, or too old a C library.
    """
    _check_platform()
    async with create_task_group() as tasks:
        readiness, stops = Readiness(tasks), Stops()
        shared = Shared(tasks, readiness, stops, Turns(tasks, readiness), limiter)
        tasks.start_soon(stops.watch, shared.terminals)
        spawner = PtySpawner(options, workspace, shared)
        try:
            yield spawner
        finally:
            with CancelScope(shield=True):
                await spawner.aclose()
            stops.close()
            readiness.close()


def _check_platform() -> None:
    if not sys.platform.startswith("linux"):
        raise UnsupportedPlatformError("Terminal provider 'pty'", sys.platform)
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        feature = "Terminal provider 'pty' needs pidfd_open(2), which"
        raise UnsupportedPlatformError(feature, f"this kernel ({error})") from error
    if stat_of(os.getpid()) is None:
        raise UnsupportedPlatformError("Terminal provider 'pty'", "a system without /proc")


class PtySpawner(TerminalSpawner):
    """Starts processes in pseudo-terminals of this host. They end when it closes."""

    def __init__(self, options: TerminalOptions, workspace: str, shared: Shared) -> None:
        """Serve ``workspace``."""
        self._options = options
        self._workspace = workspace
        self._shared = shared
        self._posix_spawn = PosixSpawn()
        self._is_closed = False

    async def spawn(self, request: SpawnRequest) -> PtyTerminal:
        """Start a process; see ``TerminalSpawner.spawn``."""
        await lowlevel.checkpoint_if_cancelled()
        if self._is_closed:
            raise SpawnError(request.command, "the terminal provider is closed")
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            reason = "this host ignores SIGCHLD, so exit statuses are lost; set SIG_DFL"
            raise SpawnError(request.command, reason)
        return await start_in_thread(
            self._shared.tasks,
            request,
            lambda: start(self._posix_spawn, request, self._options, uuid4().hex),
            self._terminal,
            lambda terminal: terminal.aclose(),
        )

    async def _terminal(self, started: Started) -> PtyTerminal:
        terminal = PtyTerminal(self._shared, started, self._options)
        if self._is_closed:
            await terminal.aclose()
            raise SpawnError(started.request.command, "the terminal provider was closed")
        return terminal

    async def sweep(self, session: Session, grace: float) -> SweepReport:
        """End processes that a dead host left running; see ``TerminalSpawner.sweep``.

        Processes are known by ``FRITH_SESSION_ID`` and ``FRITH_WORKSPACE`` in their
        environment. This process and its ancestors are never touched.
        """
        ours = [terminal.terminal_id for terminal in self._shared.terminals]
        return await sweep(session, self._workspace, grace, ours, self._shared.limiter)

    async def aclose(self) -> None:
        """End every process and release every descriptor. No spawning afterwards."""
        self._is_closed = True
        async with create_task_group() as closing:
            for terminal in tuple(self._shared.terminals):
                closing.start_soon(terminal.aclose)
