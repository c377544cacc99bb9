"""A process that has ended, and whose keeper has left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anyio import lowlevel
from pydantic import JsonValue

from frith.errors import TerminalClosedError
from frith.model import ExitStatus, SessionId
from frith.ports import Attachment, AttachMode, Screen, Size, Terminal
from frith_keeper._last_output import LastOutput
from frith_keeper._output import Output
from frith_keeper.keeper.ring import LastRing
from frith_terminals.viewing import Viewer, screen


class EndedTerminal(Terminal):
    """What is left of it: how it ended, and the end of its output if that could be written."""

    def __init__(
        self,
        session_id: SessionId,
        ref: dict[str, JsonValue],
        status: ExitStatus,
        last: LastOutput | None = None,
        *,
        was_shut_down: bool = False,
        clear: Callable[[], None] = lambda: None,
    ) -> None:
        """Tell of a process.

        Args:
            session_id: whose it was.
            ref: as it was recorded.
            status: how it ended.
            last: what its keeper has written down of the output.
            was_shut_down: whether its keeper was told to end before it did.
            clear: removes what its keeper has written down of the end.
        """
        self._session_id = session_id
        self._ref = ref
        self._status = status
        self._was_shut_down = was_shut_down
        self._clear = clear
        ring = last.ring if last else LastRing(0, b"")
        self._output = Output(ring, last.sizes if last else [(0, 24, 80)], lambda _: None)
        self._output.close()

    @property
    def session_id(self) -> SessionId:
        """The session whose process this was."""
        return self._session_id

    @property
    def pid(self) -> int:
        """Process id that the process had."""
        pid = self._ref.get("pid")
        return pid if isinstance(pid, int) else 0

    @property
    def ref(self) -> dict[str, JsonValue]:
        """As it was recorded."""
        return dict(self._ref)

    @property
    def was_shut_down(self) -> bool:
        """Whether the keeper was told to end before its process did."""
        return self._was_shut_down

    @asynccontextmanager
    async def attach(
        self, from_offset: int | None = None, mode: AttachMode = AttachMode.LOSSY
    ) -> AsyncIterator[Attachment]:
        """View what is left of the output."""
        await lowlevel.checkpoint()
        yield Viewer(self._output, from_offset, mode)

    async def screen(self, size: Size | None = None) -> Screen:
        """Return the screen as it was in the end; see ``Terminal.screen``."""
        return await screen(self._output.picture, size)

    async def write(self, data: bytes) -> None:
        """Refuse; the process has ended."""
        self._refuse()

    async def resize(self, viewer: str, size: Size) -> None:
        """Refuse; the process has ended."""
        self._refuse()

    async def signal(self, number: int) -> None:
        """Refuse; the process has ended."""
        self._refuse()

    def _refuse(self) -> None:
        raise TerminalClosedError("The process has ended; resume its session first.")

    async def terminate(self, grace: float) -> ExitStatus:
        """Return how it ended."""
        await self.collect()
        return self._status

    async def exited(self) -> ExitStatus:
        """Return how it ended, at once."""
        await lowlevel.cancel_shielded_checkpoint()
        return self._status

    async def drained(self) -> None:
        """Return at once."""
        await lowlevel.checkpoint()

    async def collect(self) -> None:
        """Remove what the keeper has written down of the end; of the output it stays."""
        await lowlevel.checkpoint()
        self._clear()
