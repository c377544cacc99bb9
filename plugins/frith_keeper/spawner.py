"""The provider `keeper`: starts keepers, and finds those that other hosts have started."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

from anyio import CapacityLimiter, create_task_group, lowlevel, to_thread
from anyio.abc import TaskGroup
from pydantic import JsonValue

from frith.errors import SpawnError, UnsupportedPlatformError
from frith.model import Session, SessionId
from frith.ports import SpawnRequest, SweepReport, Terminal, TerminalSpawner
from frith_keeper.ended import EndedTerminal, KeptOutput
from frith_keeper.finding import Keepers, name_of, session_of
from frith_keeper.keeper_processes import send_signal
from frith_keeper.link import Ended, Greeted, KeeperError
from frith_keeper.options import KeeperOptions
from frith_keeper.service_managers import warnings
from frith_keeper.start import start
from frith_keeper.terminal import KeeperTerminal
from frith_keeper.zygote import Zygote
from frith_os.processes import stat_of
from frith_terminals.readiness import Readiness
from frith_terminals.sweeping import sweep
from frith_terminals.threads import start_in_thread


@asynccontextmanager
async def open_spawner(
    options: KeeperOptions, workspace: Path, limiter: CapacityLimiter | None = None
) -> AsyncIterator[KeeperSpawner]:
    """Open the provider; when it closes, the processes run on.

    Raises:
        UnsupportedPlatformError: there are no pidfds, no /proc.
    """
    if not sys.platform.startswith("linux") or stat_of(os.getpid()) is None:
        raise UnsupportedPlatformError("Terminal provider 'keeper'", sys.platform)
    async with create_task_group() as tasks:
        readiness = Readiness(tasks)
        spawner = KeeperSpawner(options, workspace, tasks, readiness, limiter)
        try:
            yield spawner
        finally:
            spawner.close()
            readiness.close()


class KeeperSpawner(TerminalSpawner):
    """Starts each process under a keeper of its own, and adopts those of other hosts."""

    def __init__(
        self,
        options: KeeperOptions,
        workspace: Path,
        tasks: TaskGroup,
        readiness: Readiness,
        limiter: CapacityLimiter | None,
    ) -> None:
        """Serve ``workspace``, with tasks in ``tasks``; ``readiness`` watches the keepers."""
        self._options = options
        self._workspace = str(workspace)
        self._keepers = Keepers(workspace, options, limiter)
        self._zygote = Zygote()
        self._tasks = tasks
        self._readiness = readiness
        self._terminals: set[KeeperTerminal] = set()
        self._started: set[str] = set()
        """Ids of terminals that this spawner started; others may be swept though they are open."""
        self._is_closed = False

    async def spawn(self, request: SpawnRequest) -> KeeperTerminal:
        """Start a process; see ``TerminalSpawner.spawn``."""
        await lowlevel.checkpoint()
        if self._is_closed:
            raise SpawnError(request.command, "the terminal provider is closed")
        terminal_id = uuid4().hex
        return await start_in_thread(
            self._tasks,
            request,
            lambda: start(request, terminal_id, self._zygote, self._keepers, self._options),
            partial(self._started_terminal, request),
            self._undo,
        )

    async def _started_terminal(self, request: SpawnRequest, greeted: Greeted) -> KeeperTerminal:
        terminal = self._terminal(greeted)
        if self._is_closed:
            await self._undo(terminal)
            raise SpawnError(request.command, "the terminal provider was closed")
        self._started.add(terminal.terminal_id)
        return terminal

    async def _undo(self, terminal: KeeperTerminal) -> None:
        await terminal.terminate(0)
        await self.forget(terminal.session_id)

    async def adopt(self, session: Session) -> Terminal | None:
        """Return the terminal of ``session`` that another host started; it may have ended.

        Raises:
            KeeperError: the keeper cannot be asked.
        """
        ref = session.details.terminal_ref or {}
        terminal_id = ref.get("terminal")
        if not isinstance(terminal_id, str):
            return None
        for terminal in self._terminals:
            if (terminal.session_id, terminal.terminal_id) == (session.id, terminal_id):
                return terminal
        name = name_of(session.id, terminal_id)
        greeted = await self._keepers.find(name, ref)
        if greeted is not None:
            found = greeted.greeting
            if self._is_closed:
                greeted.close()
                raise KeeperError("The terminal provider was closed.")
            if (found.session, found.terminal) != (session.id, terminal_id):
                greeted.close()
                raise KeeperError(f"The keeper {name} has the process of another session.")
            return self._terminal(greeted)
        ended = self._keepers.exit_of(name)
        if ended is None:
            return None
        output = await self._kept_output(session.id)
        if output and output.terminal != terminal_id:
            output = None
        return EndedTerminal(session.id, ref, ended, output, partial(self._keepers.clear, name))

    async def recall(self, session: Session) -> Terminal | None:
        """Return the last terminal of ``session``; see ``TerminalSpawner.recall``."""
        output = await self._kept_output(session.id)
        if output is None:
            return None
        ref: dict[str, JsonValue] = {"terminal": output.terminal, "pid": output.pid}
        return EndedTerminal(session.id, ref, Ended(exit=output.exit), output)

    async def _kept_output(self, session_id: SessionId) -> KeptOutput | None:
        keepers = self._keepers
        output = await to_thread.run_sync(keepers.output_of, session_id, limiter=keepers.limiter)
        return KeptOutput.parse(output)

    async def forget(self, session_id: SessionId) -> None:
        """Remove the output of a session; see ``TerminalSpawner.forget``."""
        keepers = self._keepers
        await to_thread.run_sync(keepers.forget, session_id, limiter=keepers.limiter)

    async def kept(self) -> dict[SessionId, int]:
        """Return the sessions with a keeper; see ``TerminalSpawner.kept``."""
        running = await self._keepers.running()
        found: dict[SessionId, int] = {}
        for name in {*self._keepers.names(), *running}:
            ref, greeted = running.get(name, {}), None
            with suppress(KeeperError):
                greeted = await self._keepers.find(name, ref)
            if greeted is not None:
                with closing(greeted):
                    found[greeted.greeting.session] = greeted.greeting.pid
            elif send_signal(ref):  # it cannot be asked for its process
                found[session_of(name)] = int(str(ref["keeper"]))
        return found

    async def warnings(self) -> tuple[str, ...]:
        """Return what threatens keepers that are started here; see ``TerminalSpawner.warnings``."""
        return await to_thread.run_sync(warnings, limiter=self._keepers.limiter)

    async def sweep(self, session: Session, grace: float) -> SweepReport:
        """End processes of a dead host, and their keepers; see ``TerminalSpawner.sweep``."""
        ours = tuple(self._started)
        report = await sweep(session, self._workspace, grace, ours, self._keepers.limiter)
        running = await self._keepers.running()
        for name in {*self._keepers.names(session.id), *running}:
            if session_of(name) == session.id and name.rpartition(".")[2] not in ours:
                await self._keepers.end(name, running.get(name, {}))
        return report

    def close(self) -> None:
        """Detach from every terminal. No spawning afterwards."""
        self._is_closed = True
        for terminal in tuple(self._terminals):
            terminal.detach()
        self._zygote.close()

    def _terminal(self, greeted: Greeted) -> KeeperTerminal:
        try:
            terminal = KeeperTerminal(
                greeted,
                self._readiness,
                self._tasks,
                self._options,
                self._keepers,
                self._on_detached,
            )
        except BaseException:
            for fd in (greeted.connection.fileno(), greeted.bell):
                self._readiness.unwatch(fd)
            greeted.close()
            raise
        if not terminal.is_detached:
            self._terminals.add(terminal)
        return terminal

    def _on_detached(self, terminal: KeeperTerminal) -> None:
        self._terminals.discard(terminal)
        self._started.discard(terminal.terminal_id)
