"""The provider `pty`: opens pseudo-terminals and starts processes in them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from anyio import CancelScope, create_task_group, lowlevel
from pydantic import JsonValue

from frith.errors import SpawnError, UnsupportedPlatformError
from frith.model import Session
from frith.ports import SpawnRequest, SweepReport, TerminalSpawner
from frith_pty._home import Home
from frith_pty._libc import PosixSpawn
from frith_pty._starting import start
from frith_pty._terminal import PtyTerminal
from frith_pty.options import PtyOptions
from frith_terminals.processes import boot_id, pid_namespace, stat_of
from frith_terminals.readiness import Readiness
from frith_terminals.sweeping import sweep
from frith_terminals.threads import Thread, born


@asynccontextmanager
async def open_spawner(options: PtyOptions, workspace: str) -> AsyncIterator[PtySpawner]:
    """Open the provider; when it closes, every process of its terminals has ended.

    Raises:
        UnsupportedPlatformError: there are no pidfds, no /proc, or too old a C library.
    """
    _check_platform()
    async with create_task_group() as tasks:
        readiness = Readiness(tasks)
        home = Home(tasks, readiness)
        tasks.start_soon(home.stops.watch, home.terminals)
        spawner = PtySpawner(options, workspace, home)
        try:
            yield spawner
        finally:
            with CancelScope(shield=True):
                await spawner.aclose()
            home.stops.close()
            readiness.close()


def _check_platform() -> None:
    if not sys.platform.startswith("linux"):
        raise UnsupportedPlatformError("Terminal provider 'pty'", sys.platform)
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        what = "Terminal provider 'pty' needs pidfd_open(2), which"
        raise UnsupportedPlatformError(what, f"this kernel ({error})") from error
    if stat_of(os.getpid()) is None:
        raise UnsupportedPlatformError("Terminal provider 'pty'", "a system without /proc")


class PtySpawner(TerminalSpawner):
    """Starts processes in pseudo-terminals of this host. They end when it closes."""

    def __init__(self, options: PtyOptions, workspace: str, home: Home) -> None:
        """Serve ``workspace``; what the terminals share is ``home``."""
        self._options = options
        self._workspace = workspace
        self._home = home
        self._spawn = PosixSpawn()
        self._here: dict[str, JsonValue] = {"bootId": boot_id(), "pidNamespace": pid_namespace()}
        self._closed = False

    async def spawn(self, request: SpawnRequest) -> PtyTerminal:
        """Start a process; see ``TerminalSpawner.spawn``."""
        await lowlevel.checkpoint()
        if self._closed:
            raise SpawnError(request.command, "the terminal provider is closed")
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            reason = "this host ignores SIGCHLD, so how a process ends is lost; set SIG_DFL"
            raise SpawnError(request.command, reason)
        return await born(
            self._home.tasks, lambda: self._start(request), lambda terminal: terminal.aclose()
        )

    async def _start(self, request: SpawnRequest) -> PtyTerminal:
        terminal_id = uuid4().hex
        try:
            thread = Thread(lambda: start(self._spawn, request, self._options, terminal_id))
        except RuntimeError as error:
            reason = f"{error}; end some processes, or raise `ulimit -u`"
            raise SpawnError(request.command, reason) from error
        started = await thread.result()
        terminal = PtyTerminal(
            self._home,
            started.leader,
            started.group,
            session_id=request.session_id,
            terminal_id=terminal_id,
            master=started.master,
            slave_path=started.slave_path,
            ref={"pid": started.leader.pid, "startTime": started.start_time, **self._here},
            size=request.size,
            scrollback=self._options.scrollback,
            write_timeout=self._options.write_timeout,
            size_policy=self._options.size,
        )
        if self._closed:
            await terminal.aclose()
            raise SpawnError(request.command, "the terminal provider was closed")
        return terminal

    async def sweep(self, session: Session, grace: float) -> SweepReport:
        """End what a dead host left running; see ``TerminalSpawner.sweep``.

        Processes are known by ``FRITH_SESSION_ID`` and ``FRITH_WORKSPACE`` in their
        environment. This process and its ancestors are never touched.
        """
        ours = [terminal.terminal_id for terminal in self._home.terminals]
        return await sweep(session, self._workspace, grace, ours)

    async def aclose(self) -> None:
        """End every process and release every descriptor. No spawning afterwards."""
        self._closed = True
        async with create_task_group() as closing:
            for terminal in tuple(self._home.terminals):
                closing.start_soon(terminal.aclose)
