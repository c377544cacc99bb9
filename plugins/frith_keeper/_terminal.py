"""One process in the terminal of a keeper."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from anyio import CancelScope, Lock, lowlevel, sleep
from anyio.abc import TaskGroup
from pydantic import JsonValue

from frith.errors import LineTooLongError, TerminalBusyError, TerminalClosedError
from frith.model import ExitStatus, SessionId
from frith.ports import Attachment, AttachMode, Foreground, Screen, Size, Terminal
from frith_keeper._calling import call
from frith_keeper._errors import KeeperError, KeeperLostError
from frith_keeper._greeting import Greeted
from frith_keeper._link import Link
from frith_keeper._output import Output
from frith_keeper.keeper import wire
from frith_keeper.keeper.inputs import LINE_LIMIT
from frith_terminals.ending import end_all
from frith_terminals.environment import TERMINAL_ID
from frith_terminals.foreground import Written, described
from frith_terminals.processes import boot_id, environ_of, pid_namespace, stat_of
from frith_terminals.readiness import Bell, Latch, Readiness
from frith_terminals.viewing import Viewer, screen

_RETRY = 1.0
"""Seconds until a keeper that lives is tried to be reached again."""
_ENDED = "The process has ended; resume its session first."


class KeeperTerminal(Terminal):
    """A terminal that a keeper holds. *exited* and *drained* are two events."""

    def __init__(
        self,
        greeted: Greeted,
        readiness: Readiness,
        tasks: TaskGroup,
        *,
        answer_within: float,
        write_within: float,
        again: Callable[[dict[str, JsonValue]], Awaitable[Greeted | None]],
        epitaph: Callable[[], bytes | None],
        dismiss: Callable[[dict[str, JsonValue]], Awaitable[None]],
        gone: Callable[[KeeperTerminal], None],
    ) -> None:
        """Take charge of a keeper that was greeted.

        Args:
            greeted: the keeper.
            readiness: watches its descriptors.
            tasks: of the provider.
            answer_within: seconds that it may take.
            write_within: seconds that its process may take to read.
            again: greets the keeper that a ref names once more, ``None`` if it is gone.
            epitaph: returns what a keeper that is gone has written down.
            dismiss: lets the keeper that a ref names go, whose process has ended.
            gone: called once this host has nothing of the keeper any more.
        """
        said = greeted.said
        self.terminal_id = str(said["terminal"])
        self._said = said
        self._readiness = readiness
        self._bell = greeted.bell
        self._write_within = write_within
        self._tasks, self._again = tasks, again
        self._returning: CancelScope | None = None
        self._windows: dict[str, Size] = {}
        self._epitaph, self._dismiss, self._gone = epitaph, dismiss, gone
        self._exited, self._drained = Latch(), Latch()
        self._status: ExitStatus | None = None
        self._lost = self._was_shut_down = False
        self._ending: Lock | None = None
        self._departures, self._departure = 0, Bell()
        sizes = [(at, rows, columns) for at, rows, columns in said["sizes"]]
        self._ring = greeted.ring
        self._output = Output(self._ring, sizes, self._hold)
        self._link = Link(
            greeted.connection,
            readiness,
            tasks,
            answer_within,
            wake=lambda: call(self.ref, signal.SIGCONT),
            heard=self._heard,
            lost=self._on_lost,
        )
        readiness.watch(greeted.bell, self._on_bell)
        self._note_end(said)

    @property
    def session_id(self) -> SessionId:
        """The session whose process this is."""
        return str(self._said["session"])

    @property
    def pid(self) -> int:
        """Process id of the process."""
        return int(self._said["pid"])

    @property
    def ref(self) -> dict[str, JsonValue]:
        """Identity of the process, of its terminal, and process id of its keeper."""
        return {
            "terminal": self.terminal_id,
            "keeper": self._said["keeper"],
            "keeperStart": self._said["keeperStart"],
            "pid": self.pid,
            "startTime": self._said["startTime"],
            "bootId": boot_id(),
            "pidNamespace": pid_namespace(),
        }

    @property
    def was_shut_down(self) -> bool:
        """Whether the keeper was told to end before its process did."""
        return self._was_shut_down

    @asynccontextmanager
    async def attach(
        self, from_offset: int | None = None, mode: AttachMode = AttachMode.LOSSY
    ) -> AsyncIterator[Attachment]:
        """View the output; a lossless viewer holds the process up, in whatever host it is."""
        output = self._output
        if mode is AttachMode.LOSSLESS and self._status is None:
            slowest, end = output.slowest, output.ring.end
            try:
                await self._link.ask("hold", at=end if slowest is None else min(slowest, end))
            except KeeperError:
                pass
            except BaseException:
                self._hold(output.slowest)  # the keeper may have been asked already
                raise
        viewer = Viewer(output, from_offset, mode)
        output.add(viewer)
        try:
            yield viewer
        finally:
            output.remove(viewer)

    async def write(self, data: bytes) -> None:
        """Send input to the process; see ``Terminal.write``."""
        await lowlevel.checkpoint_if_cancelled()
        self._check_running()
        for start in range(0, len(data) or 1, wire.MOST_INPUT):
            part = data[start : start + wire.MOST_INPUT]
            said = await self._answer(self._link.write(part, self._write_within))
            if said["longest"]:
                raise LineTooLongError(said["longest"], LINE_LIMIT)
            if said["written"] < len(part):
                self._check_running()
                raise TerminalBusyError(start + said["written"], len(data))

    async def resize(self, viewer: str, size: Size) -> None:
        """Take note of a viewer's window; the option ``size`` says whose size holds."""
        if not all(1 <= cells <= 0xFFFF for cells in (size.rows, size.columns)):
            raise ValueError(f"A terminal cannot have {size.rows} rows and {size.columns} columns.")
        self._windows[viewer] = size
        await self._ask("resize", viewer=viewer, rows=size.rows, columns=size.columns)

    async def leave(self, viewer: str) -> None:
        """Forget a viewer's window; see ``Terminal.leave``."""
        self._windows.pop(viewer, None)
        if self._status is None:
            with suppress(KeeperError):
                await self._link.ask("leave", viewer=viewer)

    async def screen(self, size: Size | None = None) -> Screen:
        """Return the screen as it is; see ``Terminal.screen``."""
        return await screen(self._output.picture, size)

    async def foreground(self) -> Foreground | None:
        """Look who has the terminal, and what it waits for; see ``Terminal.foreground``."""
        await lowlevel.checkpoint()
        if self._status is not None:
            return None
        try:
            said = await self._link.ask("foreground")
        except KeeperError:
            return None
        if "error" in said:
            return None
        written = Written(int(said["written"]), said.get("writtenAt"))
        tty = str(self._said["tty"])
        return described(int(said["group"]), lambda: int(said["local"]), self.pid, tty, written)

    async def signal(self, number: int) -> None:
        """Send a signal to the process group of the process; see ``Terminal.signal``."""
        await self._ask("signal", number=number)

    async def exited(self) -> ExitStatus:
        """Wait for the process to end.

        Raises:
            KeeperLostError: the keeper has ended, and nobody can tell how the process did.
        """
        while (status := self._status) is None:
            if self._lost:
                await end_all(self._is_ours, 0)
                raise KeeperLostError(
                    f"The keeper of session {self.session_id} (process {self._said['keeper']}) "
                    "was killed, and with it the terminal of its process; resume the session."
                )
            await self._exited.wait()
        return status

    async def drained(self) -> None:
        """Wait until the process has ended and its output has been read."""
        await self._drained.wait()

    async def departed(self, seen: int = 0) -> int:
        """Wait until other hosts have let go of the process; see ``Terminal.departed``."""
        await lowlevel.checkpoint()
        while self._departures <= seen:
            self._check_running()
            await self._departure.wait()
        return self._departures

    async def terminate(self, grace: float) -> ExitStatus:
        """End every process of the session; see ``Terminal.terminate``.

        From now on no lossless viewer holds anything up. Cancelled, it leaves things as they are
        then. The keeper ends, too.
        """
        if self._ending is None:
            self._ending = Lock()
        with suppress(KeeperError):
            await self._link.ask("release")
        async with self._ending:
            await end_all(self._is_ours, grace)
            await self.drained()
        status = await self.exited()
        with suppress(KeeperError):  # the process has ended; the keeper can be let go later
            await self.collect()
        return status

    async def collect(self) -> None:
        """Let the keeper go: somebody has taken note of how the process ended.

        Raises:
            KeeperError: it cannot be reached; it stays, and is found by whoever tries again.
        """
        await self._dismiss(self.ref)

    @property
    def is_detached(self) -> bool:
        """Whether this host has nothing of the keeper any more."""
        return self._bell < 0

    def detach(self) -> None:
        """Release what this host has of the keeper; the process runs on."""
        if not self.is_detached:
            if self._returning is not None:
                self._returning.cancel()
            self._link.close()
            self._silence()
            self._ring.detach()
            self._output.close()
            self._gone(self)

    def _silence(self) -> None:
        self._readiness.unwatch(self._bell)
        os.close(self._bell)
        self._bell = -1

    def _is_ours(self, pid: int) -> bool:
        # The keeper reaps its leader when it ends: until then its id is nobody else's.
        if self._link.is_open and (stat := stat_of(pid)) and stat.session == self.pid:
            return True
        return f"{TERMINAL_ID}={self.terminal_id}".encode() in (environ_of(pid) or ())

    async def _ask(self, what: str, **fields: object) -> None:
        self._check_running()
        await self._answer(self._link.ask(what, **fields))

    async def _answer(self, asked: Awaitable[wire.Message]) -> wire.Message:
        try:
            said = await asked
        except KeeperLostError:
            self._check_running()  # it has let us go, for the process has ended
            raise
        if said.get("error") == "closed":
            raise TerminalClosedError(_ENDED)
        if "error" in said:
            raise KeeperError(f"The keeper of the process refuses: {said['error']}.")
        return said

    def _check_running(self) -> None:
        if self._status is not None or self._drained.happened:
            raise TerminalClosedError(_ENDED)

    def _hold(self, offset: int | None) -> None:
        self._link.tell(wire.hold(-1 if offset is None else offset))

    def _on_bell(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        self._output.ring_bell()

    def _heard(self, said: wire.Message) -> None:
        event = said.get("event")
        if event == "resized":
            self._output.resized(*said["size"])
        elif event == "departed":
            self._departures += 1
            self._departure.ring()
        elif event == "exited":
            self._note_exit(said)
        elif event == "drained":
            self._readiness.hand_over(self._note_drained)

    def _note_end(self, said: wire.Message) -> None:
        if said["exit"] is not None:
            self._note_exit(said)
        if said["drained"]:
            self._note_drained()

    def _note_exit(self, said: wire.Message) -> None:
        self._status = ExitStatus(**said["exit"])
        self._was_shut_down = said.get("shutDown") is True
        self._exited.set()

    def _note_drained(self) -> None:
        self.detach()
        self._drained.set()
        self._departure.ring()

    def _on_lost(self) -> None:
        """Find out whether the keeper was killed, or has only let go of this host."""
        self._returning = CancelScope()
        self._tasks.start_soon(self._return, self._returning)

    async def _return(self, scope: CancelScope) -> None:
        with scope:
            while True:
                try:
                    greeted = await self._again(self.ref)
                    break
                except (KeeperError, OSError):  # it lives: whatever is in the way, nothing ends
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
        """Go on with a new connection; of what was told meanwhile nothing may be missed."""
        greeted.ring.detach()  # it is mapped already
        self._silence()
        self._bell = greeted.bell
        self._readiness.watch(self._bell, self._on_bell)
        self._link.open(greeted.connection)
        self._hold(self._output.slowest)
        for at, rows, columns in greeted.said["sizes"]:
            if at >= self._output.sizes[-1][0]:
                self._output.resized(at, rows, columns)
        self._output.ring_bell()
        self._heard({"event": "departed"})
        self._note_end(greeted.said)

    def _note_killed(self) -> None:
        if self._status is None:
            with suppress(Exception):
                self._note_exit(wire.parse(self._epitaph() or b""))
        self._lost = self._status is None
        self._note_drained()
        self._exited.set()
