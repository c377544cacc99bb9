"""The provider `keeper`: starts keepers, and finds those that other hosts have started."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from anyio import (
    create_task_group,
    fail_after,
    lowlevel,
    move_on_after,
    sleep,
    to_thread,
    wait_readable,
)
from anyio.abc import TaskGroup
from pydantic import JsonValue

from frith.errors import SpawnError, UnsupportedPlatformError
from frith.model import Session, SessionId
from frith.ports import SpawnRequest, SweepReport, Terminal, TerminalSpawner
from frith_keeper.ended import EndedTerminal, KeptOutput
from frith_keeper.keeper.sockets import peer
from frith_keeper.keeper_processes import end, find_keepers, send_signal
from frith_keeper.link import Ended, Greeted, KeeperError, abandon, receive_greeting, send_hello
from frith_keeper.options import KeeperOptions
from frith_keeper.places import KeeperFiles, name_of, session_of
from frith_keeper.start import start
from frith_keeper.terminal import KeeperTerminal
from frith_os import keeperwire as wire
from frith_os.processes import stat_of
from frith_terminals.readiness import Readiness
from frith_terminals.sweeping import sweep
from frith_terminals.threads import start_in_thread

_FOUND_AGAIN = 2.0
"""Seconds in which a keeper that was signalled must listen again."""
_RETRY = 0.02
_NOT_THERE = FileNotFoundError, ConnectionError
"""Errors where no keeper listens, or one that leaves just now."""


@asynccontextmanager
async def open_spawner(options: KeeperOptions, workspace: Path) -> AsyncIterator[KeeperSpawner]:
    """Open the provider; when it closes, the processes run on.

    Raises:
        UnsupportedPlatformError: there are no pidfds, no /proc.
    """
    if not sys.platform.startswith("linux") or stat_of(os.getpid()) is None:
        raise UnsupportedPlatformError("Terminal provider 'keeper'", sys.platform)
    async with create_task_group() as tasks:
        readiness = Readiness(tasks)
        spawner = KeeperSpawner(options, workspace, tasks, readiness)
        try:
            yield spawner
        finally:
            spawner.close()
            readiness.close()


class KeeperSpawner(TerminalSpawner):
    """Starts each process under a keeper of its own, and adopts those of other hosts."""

    def __init__(
        self, options: KeeperOptions, workspace: Path, tasks: TaskGroup, readiness: Readiness
    ) -> None:
        """Serve ``workspace``, with tasks in ``tasks``; ``readiness`` watches the keepers."""
        self._options = options
        self._workspace = str(workspace)
        self._files = KeeperFiles(workspace, options.directory)
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
            lambda: start(request, terminal_id, self._files, self._options),
            partial(self._started_terminal, request, terminal_id),
            self._undo,
        )

    async def _started_terminal(
        self, request: SpawnRequest, terminal_id: str, greeted: Greeted
    ) -> KeeperTerminal:
        terminal = self._terminal(greeted, name_of(request.session_id, terminal_id))
        if self._is_closed:
            await self._undo(terminal)
            raise SpawnError(request.command, "the terminal provider was closed")
        self._started.add(terminal_id)
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
        greeted = await self._find(name, ref)
        if greeted is not None:
            found = greeted.greeting
            if self._is_closed:
                greeted.close()
                raise KeeperError("The terminal provider was closed.")
            if (found.session, found.terminal) != (session.id, terminal_id):
                greeted.close()
                raise KeeperError(f"The keeper {name} has the process of another session.")
            return self._terminal(greeted, name)
        ended = self._files.exit_of(name)
        if ended is None:
            return None
        output = await self._kept_output(session.id)
        if output and output.terminal != terminal_id:
            output = None
        return EndedTerminal(session.id, ref, ended, output, partial(self._files.clear, name))

    async def recall(self, session: Session) -> Terminal | None:
        """Return the last terminal of ``session``; see ``TerminalSpawner.recall``."""
        output = await self._kept_output(session.id)
        if output is None:
            return None
        ref: dict[str, JsonValue] = {"terminal": output.terminal, "pid": output.pid}
        return EndedTerminal(session.id, ref, Ended(exit=output.exit), output)

    async def _kept_output(self, session_id: SessionId) -> KeptOutput | None:
        return KeptOutput.parse(await to_thread.run_sync(self._files.output_of, session_id))

    async def forget(self, session_id: SessionId) -> None:
        """Remove the output of a session; see ``TerminalSpawner.forget``."""
        await to_thread.run_sync(self._files.forget, session_id)

    async def kept(self) -> dict[SessionId, int]:
        """Return the sessions with a keeper; see ``TerminalSpawner.kept``."""
        keepers = await to_thread.run_sync(find_keepers, self._files.base)
        found: dict[SessionId, int] = {}
        for name in {*self._files.names(), *keepers}:
            ref, greeted = keepers.get(name, {}), None
            with suppress(KeeperError):
                greeted = await self._find(name, ref)
            if greeted is not None:
                with closing(greeted):
                    found[greeted.greeting.session] = greeted.greeting.pid
            elif send_signal(ref):  # it cannot be asked for its process
                found[session_of(name)] = int(str(ref["keeper"]))
        return found

    async def sweep(self, session: Session, grace: float) -> SweepReport:
        """End processes of a dead host, and their keepers; see ``TerminalSpawner.sweep``."""
        ours = tuple(self._started)
        report = await sweep(session, self._workspace, grace, ours)
        keepers = await to_thread.run_sync(find_keepers, self._files.base)
        names = {*self._files.names(session.id), *keepers}
        for name in names:
            if session_of(name) == session.id and name.rpartition(".")[2] not in ours:
                await self._end(name, keepers.get(name, {}))
        return report

    async def _end(self, name: str, ref: dict[str, Any]) -> None:
        """End a keeper whose process has been swept, also one that does not answer."""
        with suppress(KeeperError, OSError):
            await self._dismiss(name, ref)
        with suppress(KeeperError, OSError):  # it stays where the next sweep finds it
            if await end(ref, self._options.answer_timeout):
                await to_thread.run_sync(self._files.clear, name)

    def close(self) -> None:
        """Detach from every terminal. No spawning afterwards."""
        self._is_closed = True
        for terminal in tuple(self._terminals):
            terminal.detach()

    def _terminal(self, greeted: Greeted, name: str) -> KeeperTerminal:
        try:
            terminal = KeeperTerminal(
                greeted,
                self._readiness,
                self._tasks,
                self._options,
                greet_again=partial(self._find, name),
                read_exit=partial(self._files.exit_of, name),
                dismiss=partial(self._dismiss, name),
                on_detached=self._on_detached,
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

    async def _dismiss(self, name: str, ref: dict[str, Any]) -> None:
        """Have a keeper end whose process has ended.

        Raises:
            KeeperError: it cannot be reached.
        """
        greeted = await self._find(name, ref)
        if greeted is not None:
            with closing(greeted):
                await to_thread.run_sync(_collect, greeted, self._options.answer_timeout)
        await to_thread.run_sync(self._files.clear, name)

    async def _find(self, name: str, ref: dict[str, Any]) -> Greeted | None:
        """Return the keeper called ``name``, greeted; ``None`` if there is none."""
        failure = None
        try:
            return await self._greet(name)
        except _NOT_THERE:
            pass
        except KeeperError as error:
            why = error.__cause__
            if isinstance(why, OSError) and why.errno != errno.EPROTOTYPE:  # another kind of socket
                raise
            if not send_signal(ref) or self._listens(name, ref):
                raise
            failure = error
        # Its socket may have been removed or replaced: a keeper that is signalled listens anew.
        if send_signal(ref, signal.SIGUSR1):
            with move_on_after(_FOUND_AGAIN):
                while send_signal(ref):  # it may just be leaving
                    await sleep(_RETRY)
                    with suppress(KeeperError, *_NOT_THERE):
                        return await self._greet(name)
                return None
            raise failure or KeeperError(
                f"The keeper {name} (process {ref['keeper']}) runs but cannot be reached."
            )
        if failure is not None:
            raise failure
        return None

    def _listens(self, name: str, ref: dict[str, Any]) -> bool:
        """Return whether the keeper that ``ref`` names is the one that listens as ``name``."""
        with (
            suppress(KeeperError, OSError),
            closing(self._files.connect(name)) as connection,
        ):
            return peer(connection)[0] == ref.get("keeper")
        return False

    async def _greet(self, name: str) -> Greeted:
        """Greet the keeper called ``name``, once more after waking it if it does not answer."""
        try:
            try:
                return await self._try_to_greet(name)
            except TimeoutError:  # it may have been stopped
                with closing(self._files.connect(name)) as connection:
                    keeper, _ = peer(connection)
                if keeper:  # otherwise it is in another pid namespace
                    with suppress(OSError):
                        os.kill(keeper, signal.SIGCONT)
            return await self._try_to_greet(name)
        except _NOT_THERE:
            raise
        except TimeoutError as error:
            reason = f"The keeper {name} (process {keeper}) does not answer."
            raise KeeperError(reason) from error
        except OSError as error:
            raise KeeperError(f"The keeper {name} cannot be reached: {error}.") from error

    async def _try_to_greet(self, name: str) -> Greeted:
        connection = self._files.connect(name)
        try:
            send_hello(connection)
            with fail_after(self._options.answer_timeout):
                await wait_readable(connection)
            return receive_greeting(connection)
        except BaseException:
            abandon(connection)
            raise


def _collect(keeper: Greeted, within: float) -> None:
    """Have a keeper end, and wait until it has; it does not while its process runs."""
    try:
        keeper.connection.settimeout(within)
        deadline = monotonic() + within
        while True:
            keeper.connection.send(wire.message(do="collect", seq=1))
            while (answer := wire.parse(keeper.connection.recv(wire.LARGEST))).get("seq") != 1:
                pass
            if "error" not in answer or monotonic() > deadline:
                break
            time.sleep(_RETRY)
        while keeper.connection.recv(wire.LARGEST):
            pass
        # As process 1 of a container this host is the parent of orphans.
        with suppress(ChildProcessError):
            os.waitpid(peer(keeper.connection)[0], 0)
    except (OSError, ValueError):
        pass
