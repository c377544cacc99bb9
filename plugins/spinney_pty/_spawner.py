"""The provider `pty`: opens pseudo-terminals and starts processes in them."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from anyio import CancelScope, create_task_group, lowlevel
from pydantic import JsonValue

from spinney.errors import SpawnError, UnsupportedPlatformError
from spinney.model import Session
from spinney.ports import SpawnRequest, SweepReport, TerminalSpawner
from spinney_pty._launch import environment, launch
from spinney_pty._leader import Leader
from spinney_pty._libc import PosixSpawn
from spinney_pty._processes import boot_id, pid_namespace, stat_of
from spinney_pty._readiness import Readiness
from spinney_pty._sweep import sweep
from spinney_pty._terminal import Home, PtyTerminal
from spinney_pty.options import PtyOptions

_IUTF8 = 0x4000
"""Erasing removes whole UTF-8 characters; see termios(3)."""


@asynccontextmanager
async def open_spawner(options: PtyOptions, workspace: str) -> AsyncIterator[PtySpawner]:
    """Open the provider; when it closes, every process of its terminals has ended.

    Raises:
        UnsupportedPlatformError: there are no pidfds, no /proc, or too old a C library.
    """
    _check_platform()
    async with create_task_group() as tasks:
        spawner = PtySpawner(options, workspace, Home(tasks, Readiness(tasks)))
        try:
            yield spawner
        finally:
            with CancelScope(shield=True):
                await spawner.aclose()


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
        # From here on nothing awaits: there is no moment at which a cancellation could leave
        # a process that nobody owns.
        if self._closed:
            raise SpawnError(request.command, "the terminal provider is closed")
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            reason = "this host ignores SIGCHLD, so how a process ends is lost; set SIG_DFL"
            raise SpawnError(request.command, reason)
        try:
            master, slave = os.openpty()
        except OSError as error:
            reason = f"there is no free terminal ({error.strerror}); close some sessions"
            raise SpawnError(request.command, reason) from error
        try:
            return self._start(request, master, slave)
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)

    def _start(self, request: SpawnRequest, master: int, slave: int) -> PtyTerminal:
        slave_path = os.ttyname(slave)
        _prepare(request, master, slave)
        terminal_id = uuid4().hex
        env = environment(request, self._options.term, terminal_id)
        pid = launch(self._spawn, request, env, slave_path)
        stat = stat_of(pid)
        try:
            return PtyTerminal(
                self._home,
                Leader(pid),
                session_id=request.session_id,
                terminal_id=terminal_id,
                master=master,
                slave_path=slave_path,
                ref={"pid": pid, "startTime": stat.start_time if stat else None, **self._here},
                scrollback=self._options.scrollback,
                write_timeout=self._options.write_timeout,
            )
        except OSError as error:
            raise SpawnError(request.command, f"{error}; close some sessions") from error

    async def sweep(self, session: Session, grace: float) -> SweepReport:
        """End what a dead host left running; see ``TerminalSpawner.sweep``.

        Processes are known by ``SPINNEY_SESSION_ID`` and ``SPINNEY_WORKSPACE`` in their
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
