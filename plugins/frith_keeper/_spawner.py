"""The provider `keeper`: starts keepers, finds those that others have started."""

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
from frith.model import ExitStatus, Session, SessionId
from frith.ports import SpawnRequest, SweepReport, Terminal, TerminalSpawner
from frith_keeper._calling import call, end
from frith_keeper._ended import EndedTerminal
from frith_keeper._errors import KeeperError
from frith_keeper._greeting import Greeted, RefusedError, answered, peer_of, say_hello
from frith_keeper._last_output import LastOutput, parse
from frith_keeper._living import living
from frith_keeper._places import Places, name_of, session_of
from frith_keeper._starting import start
from frith_keeper._terminal import KeeperTerminal
from frith_keeper.keeper import wire
from frith_keeper.options import KeeperOptions
from frith_terminals.processes import stat_of
from frith_terminals.readiness import Readiness
from frith_terminals.sweeping import sweep
from frith_terminals.threads import Thread, born

_FOUND_AGAIN = 2.0
"""Seconds in which a keeper that was called must listen again."""
_RETRY = 0.02
_NOBODY = FileNotFoundError, ConnectionError
"""Said where no keeper listens, or one that leaves just now."""


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
    """Starts each process under a keeper of its own, and adopts what others have started."""

    def __init__(
        self, options: KeeperOptions, workspace: Path, tasks: TaskGroup, readiness: Readiness
    ) -> None:
        """Serve ``workspace``, with tasks in ``tasks``; ``readiness`` watches the keepers."""
        self._options = options
        self._workspace = str(workspace)
        self._places = Places(workspace, options.directory)
        self._tasks = tasks
        self._readiness = readiness
        self._terminals: set[KeeperTerminal] = set()
        self._started: set[str] = set()
        """Ids of the terminals that came from here; others may be swept though they are open."""
        self._closed = False

    async def spawn(self, request: SpawnRequest) -> KeeperTerminal:
        """Start a process; see ``TerminalSpawner.spawn``."""
        await lowlevel.checkpoint()
        if self._closed:
            raise SpawnError(request.command, "the terminal provider is closed")
        return await born(
            self._tasks, lambda: self._start(request), lambda terminal: self._undo(terminal)
        )

    async def _undo(self, terminal: KeeperTerminal) -> None:
        await terminal.terminate(0)
        await self.forget(terminal.session_id)

    async def _start(self, request: SpawnRequest) -> KeeperTerminal:
        terminal_id = uuid4().hex
        places, options = self._places, self._options
        try:
            thread = Thread(lambda: start(request, terminal_id, places, options))
        except RuntimeError as error:
            reason = f"{error}; end some processes, or raise `ulimit -u`"
            raise SpawnError(request.command, reason) from error
        terminal = self._terminal(await thread.result(), name_of(request.session_id, terminal_id))
        if self._closed:
            await self._undo(terminal)
            raise SpawnError(request.command, "the terminal provider was closed")
        self._started.add(terminal_id)
        return terminal

    async def adopt(self, session: Session) -> Terminal | None:
        """Return the terminal of ``session`` that another host started.

        If its process has ended meanwhile, the terminal tells how.

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
        greeted = await self._found(name, ref)
        if greeted is not None:
            who = greeted.said
            if self._closed:
                greeted.close()
                raise KeeperError("The terminal provider was closed.")
            if (who["session"], who["terminal"]) != (session.id, terminal_id):
                greeted.close()
                raise KeeperError(f"The keeper at {name} keeps another session's process.")
            return self._terminal(greeted, name)
        noted = self._places.exit_of(name)
        if noted is None:
            return None
        try:
            said = wire.parse(noted)
            status = ExitStatus(**said["exit"])
        except (wire.RubbishError, KeyError, TypeError, ValueError):
            return None
        last = await self._last_output(session.id)
        if last and last.terminal_id != terminal_id:
            last = None
        return EndedTerminal(
            session.id,
            ref,
            status,
            last,
            was_shut_down=said.get("shutDown") is True,
            clear=partial(self._places.clear, name),
        )

    async def recall(self, session: Session) -> Terminal | None:
        """Return the last process of ``session``, as it ended; see ``TerminalSpawner.recall``."""
        last = await self._last_output(session.id)
        if last is None:
            return None
        ref: dict[str, JsonValue] = {"terminal": last.terminal_id, "pid": last.pid}
        return EndedTerminal(session.id, ref, last.status, last)

    async def _last_output(self, session_id: SessionId) -> LastOutput | None:
        return parse(await to_thread.run_sync(self._places.output_of, session_id))

    async def forget(self, session_id: SessionId) -> None:
        """Remove what is left of the output of a session; see ``TerminalSpawner.forget``."""
        await to_thread.run_sync(self._places.forget, session_id)

    async def kept(self) -> dict[SessionId, int]:
        """Return the sessions with a keeper; see ``TerminalSpawner.kept``."""
        keepers = await to_thread.run_sync(living, self._places.base)
        found: dict[SessionId, int] = {}
        for name in {*self._places.names(), *keepers}:
            ref, greeted = keepers.get(name, {}), None
            with suppress(KeeperError):
                greeted = await self._found(name, ref)
            if greeted is not None:
                with closing(greeted):
                    found[str(greeted.said["session"])] = int(greeted.said["pid"])
            elif call(ref):  # it cannot be asked for its process
                found[session_of(name)] = int(str(ref["keeper"]))
        return found

    async def sweep(self, session: Session, grace: float) -> SweepReport:
        """End what a dead host left running, and its keepers; see ``TerminalSpawner.sweep``."""
        ours = tuple(self._started)
        report = await sweep(session, self._workspace, grace, ours)
        keepers = await to_thread.run_sync(living, self._places.base)
        names = {*self._places.names(session.id), *keepers}
        for name in names:
            if session_of(name) == session.id and name.rpartition(".")[2] not in ours:
                await self._end(name, keepers.get(name, {}))
        return report

    async def _end(self, name: str, ref: dict[str, Any]) -> None:
        """End a keeper whose process has been swept, also one that cannot be asked to go."""
        with suppress(KeeperError, OSError):
            await self._dismiss(name, ref)
        with suppress(KeeperError, OSError):  # it stays where the next sweep finds it
            if await end(ref, self._options.answer_timeout):
                await to_thread.run_sync(self._places.clear, name)

    def close(self) -> None:
        """Detach from every terminal. No spawning afterwards."""
        self._closed = True
        for terminal in tuple(self._terminals):
            terminal.detach()

    def _terminal(self, greeted: Greeted, name: str) -> KeeperTerminal:
        try:
            terminal = KeeperTerminal(
                greeted,
                self._readiness,
                self._tasks,
                answer_within=self._options.answer_timeout,
                write_within=self._options.write_timeout,
                again=partial(self._found, name),
                epitaph=partial(self._places.exit_of, name),
                dismiss=partial(self._dismiss, name),
                gone=self._forget,
            )
        except BaseException:
            for fd in (greeted.connection.fileno(), greeted.bell):
                self._readiness.unwatch(fd)
            greeted.close()
            raise
        if not terminal.is_detached:
            self._terminals.add(terminal)
        return terminal

    def _forget(self, terminal: KeeperTerminal) -> None:
        self._terminals.discard(terminal)
        self._started.discard(terminal.terminal_id)

    async def _dismiss(self, name: str, ref: dict[str, Any]) -> None:
        """Let a keeper go whose process has ended.

        Raises:
            KeeperError: it cannot be reached.
        """
        greeted = await self._found(name, ref)
        if greeted is not None:
            with closing(greeted):
                await to_thread.run_sync(_let_go, greeted, self._options.answer_timeout)
        await to_thread.run_sync(self._places.clear, name)

    async def _found(self, name: str, ref: dict[str, Any]) -> Greeted | None:
        """Return the keeper called ``name``, greeted; ``None`` if there is none."""
        failure = None
        try:
            return await self._reached(name)
        except _NOBODY:
            pass
        except KeeperError as error:
            why = error.__cause__
            if isinstance(why, OSError) and why.errno != errno.EPROTOTYPE:  # another kind of socket
                raise
            if not call(ref) or self._listens(name, ref):
                raise
            failure = error
        # Somebody may have removed its socket, or put something in its place: one that is called
        # listens anew.
        if call(ref, signal.SIGUSR1):
            with move_on_after(_FOUND_AGAIN):
                while call(ref):  # it may just be leaving
                    await sleep(_RETRY)
                    with suppress(KeeperError, *_NOBODY):
                        return await self._reached(name)
                return None
            raise failure or KeeperError(
                f"The keeper {ref['keeper']} lives, but is not found; see {name}."
            )
        if failure is not None:
            raise failure
        return None

    def _listens(self, name: str, ref: dict[str, Any]) -> bool:
        """Tell whether the keeper that ``ref`` names is the one that listens in its place."""
        with suppress(OSError), closing(self._places.connect(name)) as connection:
            return peer_of(connection) == ref.get("keeper")
        return False

    async def _reached(self, name: str) -> Greeted:
        try:
            return await self._greeted(name)
        except _NOBODY:
            raise
        except OSError as error:
            raise KeeperError(f"The keeper {name} cannot be reached: {error}.") from error

    async def _greeted(self, name: str) -> Greeted:
        try:
            return await self._asked_who(name)
        except TimeoutError:  # somebody may have stopped it
            with closing(self._places.connect(name)) as connection:
                keeper = peer_of(connection)
            if keeper:  # else it is in another pid namespace
                with suppress(OSError):
                    os.kill(keeper, signal.SIGCONT)
        try:
            return await self._asked_who(name)
        except TimeoutError as error:
            raise KeeperError(f"The keeper {name} (process {keeper}) does not answer.") from error

    async def _asked_who(self, name: str) -> Greeted:
        connection = self._places.connect(name)
        say_hello(connection)
        try:
            with fail_after(self._options.answer_timeout):
                await wait_readable(connection)
        except BaseException:
            connection.close()
            raise
        try:
            return answered(connection)
        except RefusedError as error:
            raise KeeperError(f"The keeper {name} refuses: {error.said.get('error')}.") from error


def _let_go(keeper: Greeted, within: float) -> None:
    """Have a keeper end, and wait until it has; it does not while its process runs."""
    try:
        keeper.connection.settimeout(within)
        deadline = monotonic() + within
        while True:
            keeper.connection.send(wire.message(do="collect", seq=1))
            while (said := wire.parse(keeper.connection.recv(wire.LARGEST))).get("seq") != 1:
                pass
            if "error" not in said or monotonic() > deadline:
                break
            time.sleep(_RETRY)
        while keeper.connection.recv(wire.LARGEST):
            pass
        # As process 1 of a container we are the parent of what has lost its own.
        with suppress(ChildProcessError):
            os.waitpid(peer_of(keeper.connection), 0)
    except (OSError, wire.RubbishError):
        pass
