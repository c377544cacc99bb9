"""One process in the terminal of a keeper."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from anyio import CancelScope, Lock, lowlevel, sleep
from anyio.abc import TaskGroup
from pydantic import JsonValue

from frith.errors import LineTooLongError, TerminalBusyError, TerminalClosedError
from frith.model import ExitStatus
from frith.ports import Attachment, AttachMode, Direct, Foreground, Size
from frith_keeper.finding import Keepers, name_of
from frith_keeper.keeper_processes import send_signal
from frith_keeper.link import Ended, Greeted, Greeting, KeeperError, KeeperLostError, Link
from frith_keeper.options import KeeperOptions
from frith_os.processes import here, stat_of
from frith_os.pty import wire
from frith_os.pty.input import LINE_LIMIT
from frith_os.pty.output import record_size
from frith_os.pty.ring import SPARE
from frith_terminals.answering import Answering
from frith_terminals.ending import end_all
from frith_terminals.foreground import Written, described
from frith_terminals.queries import Query
from frith_terminals.readiness import Bell, Readiness
from frith_terminals.terminal import ViewedTerminal, checked
from frith_terminals.viewing import Viewers

_RETRY = 1.0
"""Seconds until a keeper that lives is greeted again."""
_IDENTITY = {"terminal", "keeper", "keeper_start", "pid", "start_time"}
_READ = 64 * 1024
"""Bytes that a keeper reads before it tells hosts."""


class KeeperTerminal(ViewedTerminal):
    """A terminal that a keeper holds."""

    def __init__(
        self,
        greeted: Greeted,
        readiness: Readiness,
        tasks: TaskGroup,
        options: KeeperOptions,
        keepers: Keepers,
        on_detached: Callable[[KeeperTerminal], None],
    ) -> None:
        """Take charge of a keeper that was greeted.

        Args:
            greeted: the keeper.
            readiness: watches its descriptors.
            tasks: of the provider.
            options: of the provider.
            keepers: finds the keeper again, and has it end when its process has.
            on_detached: called once this host has no connection to the keeper any more.
        """
        self._greeting = greeting = greeted.greeting
        self._readiness = readiness
        self._bell = greeted.bell
        self._write_within = options.write_timeout
        self._tasks = tasks
        self._returning: CancelScope | None = None
        self._windows: dict[str, Size] = {}
        self._name = name_of(greeting.session, greeting.terminal)
        self._keepers, self._on_detached = keepers, on_detached
        self._is_lost = self._was_shut_down = False
        self._ending = Lock()
        self._departures, self._departure = 0, Bell()
        self._ring = greeted.ring
        self._sizes = greeting.sizes
        self._due = (self._ring.capacity - SPARE) // 2
        viewers = Viewers(self._ring, self._sizes, self._hold, readiness.later, greeting.recent)
        super().__init__(greeting.session, greeting.terminal, viewers)
        self._link = Link(
            greeted.connection,
            readiness,
            tasks,
            options.answer_timeout,
            wake=lambda: send_signal(self.ref, signal.SIGCONT),
            on_event=self._on_event,
            on_lost=self._on_lost,
        )
        viewers.on_queries = self._begin_to_answer
        readiness.watch(greeted.bell, self._on_bell)
        viewers.look()
        self._note_end(greeting)

    @property
    def pid(self) -> int:
        """Process id of the process."""
        return self._greeting.pid

    @property
    def ref(self) -> dict[str, JsonValue]:
        """Identity of the process, of its terminal, and process id of its keeper."""
        return self._greeting.model_dump(by_alias=True, include=_IDENTITY) | here()

    @property
    def was_shut_down(self) -> bool:
        """Whether the keeper was told to end before its process did."""
        return self._was_shut_down

    @asynccontextmanager
    async def attach(
        self,
        from_offset: int | None = None,
        mode: AttachMode = AttachMode.LOSSY,
        *,
        viewer: str | None = None,
    ) -> AsyncIterator[Attachment]:
        """View the output; a lossless viewer in any host holds the process up."""
        viewers = self._viewers
        if mode is AttachMode.LOSSLESS and self._status is None:
            slowest, end = viewers.slowest, viewers.end
            try:
                await self._link.ask("hold", at=end if slowest is None else min(slowest, end))
            except KeeperError:
                pass
            except BaseException:
                self._hold(viewers.slowest)  # the keeper may have been asked already
                raise
        async with super().attach(from_offset, mode, viewer=viewer) as attached:
            yield attached

    async def write(self, data: bytes) -> None:
        """Send input to the process; see ``Terminal.write``."""
        await lowlevel.checkpoint_if_cancelled()
        self.check_running()
        for start in range(0, len(data) or 1, wire.MOST_INPUT):
            part = data[start : start + wire.MOST_INPUT]
            answer = await self._answer_of(self._link.write(part, self._write_within))
            if answer["longest"]:
                raise LineTooLongError(answer["longest"], LINE_LIMIT)
            if answer["written"] < len(part):
                self.check_running()
                raise TerminalBusyError(start + answer["written"], len(data))

    async def resize(self, viewer: str, size: Size) -> None:
        """Record a viewer's window; the option ``size`` says whose size holds."""
        rows, columns = checked(size)
        self._windows[viewer] = size
        await self._ask("resize", viewer=viewer, rows=rows, columns=columns)

    async def leave(self, viewer: str) -> None:
        """Forget a viewer's window; see ``Terminal.leave``."""
        self._windows.pop(viewer, None)
        if self._status is None:
            with suppress(KeeperError):
                await self._link.ask("leave", viewer=viewer)

    def direct(self) -> Direct | None:
        """Return the keeper's socket and the version that it speaks; see ``Terminal.direct``."""
        if self.is_detached:
            return None
        return Direct(wire.PROTOCOL, self._greeting.version, self._keepers.path(self._name))

    def _begin_to_answer(self, queries: Sequence[Query]) -> None:
        """Have queries answered, the first ones and those to come."""
        answering = Answering(
            self._viewers, self._readiness, self._tasks, self._claim, self._answer
        )
        answering.found(queries)

    async def _claim(self, queries: Sequence[int]) -> dict[int, str | None]:
        """Ask the keeper which queries this host has to have answered."""
        try:
            answer = await self._link.ask("claim", queries=queries)
        except KeeperError:
            return {}
        return dict(answer.get("yours", ()))

    async def _answer(self, query: int, answer: bytes) -> None:
        await self._ask("answer", query=query, answer=answer.decode())

    async def foreground(self) -> Foreground | None:
        """Look up the foreground processes; see ``Terminal.foreground``."""
        await lowlevel.checkpoint()
        if self._status is not None:
            return None
        try:
            answer = await self._link.ask("foreground")
        except KeeperError:
            return None
        if "error" in answer:
            return None
        written = Written(int(answer["written"]), answer.get("writtenAt"))
        group, tty = int(answer["group"]), self._greeting.tty
        return described(group, lambda: int(answer["local"]), self.pid, tty, written)

    async def signal(self, number: int) -> None:
        """Send a signal to the process group of the process; see ``Terminal.signal``."""
        await self._ask("signal", number=number)

    async def exited(self) -> ExitStatus:
        """Wait for the process to end.

        Raises:
            KeeperLostError: the keeper was killed, so the exit status is unknown.
        """
        while (status := self._status) is None:
            if self._is_lost:
                await end_all(self._is_ours, 0, limiter=self._keepers.limiter)
                raise KeeperLostError(
                    f"The keeper of session {self.session_id} (process {self._greeting.keeper}) "
                    "was killed, and with it the terminal of its process; resume the session."
                )
            await self._exited.wait()
        return status

    async def departed(self, seen: int = 0) -> int:
        """Wait until other hosts have detached from the process; see ``Terminal.departed``."""
        await lowlevel.checkpoint()
        while self._departures <= seen:
            self.check_running()
            await self._departure.wait()
        return self._departures

    async def terminate(self, grace: float) -> ExitStatus:
        """End every process of the session; see ``Terminal.terminate``.

        From now on no lossless viewer holds anything up. Cancelled, it leaves the rest running.
        The keeper ends, too.
        """
        with suppress(KeeperError):
            await self._link.ask("release")
        async with self._ending:
            await end_all(self._is_ours, grace, limiter=self._keepers.limiter)
            await self.drained()
        status = await self.exited()
        with suppress(KeeperError):  # the process has ended; the keeper can be dismissed later
            await self.collect()
        return status

    async def collect(self) -> None:
        """Have the keeper end: the exit status is recorded.

        Raises:
            KeeperError: it cannot be reached; it stays, and a later call finds it.
        """
        await self._keepers.dismiss(self._name, self.ref)

    @property
    def is_detached(self) -> bool:
        """Whether this host has no connection to the keeper any more."""
        return self._bell < 0

    def detach(self) -> None:
        """Disconnect from the keeper; the process continues."""
        if not self.is_detached:
            if self._returning is not None:
                self._returning.cancel()
            self._link.close()
            self._close_bell()
            self._ring.detach()
            self._viewers.close()
            self._on_detached(self)

    def _close_bell(self) -> None:
        self._readiness.unwatch(self._bell)
        os.close(self._bell)
        self._bell = -1

    def _is_ours(self, pid: int) -> bool:
        # The keeper reaps its child when it ends: until then its id is no other process's.
        if self._link.is_open and (stat := stat_of(pid)) and stat.session == self.pid:
            return True
        return self.has_identity(pid)

    async def _ask(self, request: str, **fields: object) -> None:
        self.check_running()
        await self._answer_of(self._link.ask(request, **fields))

    async def _answer_of(self, asked: Awaitable[wire.Message]) -> wire.Message:
        try:
            answer = await asked
        except KeeperLostError:
            self.check_running()  # it has let us go, because the process has ended
            raise
        if answer.get("error") == "closed":
            raise TerminalClosedError("The process has ended; resume its session first.")
        if "error" in answer:
            raise KeeperError(f"The keeper of the process refuses: {answer['error']}.")
        return answer

    def _hold(self, offset: int | None) -> None:
        self._link.tell(wire.hold(-1 if offset is None else offset))

    def _on_bell(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        self._on_output()

    def _on_output(self) -> None:
        if self._ring.end >= self._due:
            self._due = self._viewers.picture.keep_up(_READ)
        self._viewers.look()

    def _on_event(self, message: wire.Message) -> None:
        event = message.get("event")
        if event == "resized":
            self._record_size(*message["size"])
        elif event == "departed":
            self._departures += 1
            self._departure.ring()
        elif event == "exited":
            ended = Ended.model_validate(message)
            self._note_exit(ended.exit, ended.shut_down)
        elif event == "drained":
            self._readiness.hand_over(self._note_drained)

    def _record_size(self, at: int, rows: int, columns: int) -> None:
        record_size(self._sizes, (at, rows, columns), self._ring.start)

    def _note_end(self, greeting: Greeting) -> None:
        if greeting.exit is not None:
            self._note_exit(greeting.exit, greeting.shut_down)
        if greeting.drained:
            self._note_drained()

    def _note_exit(self, status: ExitStatus, was_shut_down: bool) -> None:
        self._status, self._was_shut_down = status, was_shut_down
        self._exited.set()

    def _note_drained(self) -> None:
        self.detach()
        self._drained.set()
        self._departure.ring()

    def _on_lost(self) -> None:
        """Find out whether the keeper was killed, or has only disconnected this host."""
        self._returning = CancelScope()
        self._tasks.start_soon(self._return, self._returning)

    async def _return(self, scope: CancelScope) -> None:
        with scope:
            while True:
                try:
                    greeted = await self._keepers.find(self._name, self.ref)
                    break
                except (KeeperError, OSError):  # it lives, but cannot be reached
                    await sleep(_RETRY)
            if greeted is None:
                self._note_killed()
            elif self.is_detached:
                greeted.close()
            else:
                self._rejoin(greeted)
                with suppress(KeeperError, TerminalClosedError):
                    for viewer, size in tuple(self._windows.items()):
                        await self.resize(viewer, size)

    def _rejoin(self, greeted: Greeted) -> None:
        """Use a new connection; catch up with the events since the old one ended."""
        greeted.ring.detach()  # it is mapped already
        self._close_bell()
        self._bell = greeted.bell
        self._readiness.watch(self._bell, self._on_bell)
        self._link.open(greeted.connection)
        self._hold(self._viewers.slowest)
        for at, rows, columns in greeted.greeting.sizes:
            if at >= self._sizes[-1][0]:
                self._record_size(at, rows, columns)
        self._on_output()
        self._on_event({"event": "departed"})
        self._note_end(greeted.greeting)

    def _note_killed(self) -> None:
        if self._status is None and (ended := self._keepers.exit_of(self._name)) is not None:
            self._note_exit(ended.exit, ended.shut_down)
        self._is_lost = self._status is None
        self._note_drained()
        self._exited.set()
