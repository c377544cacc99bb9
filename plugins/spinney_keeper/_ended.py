"""A process that ended while no host was there, and whose keeper has left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anyio import lowlevel
from pydantic import JsonValue

from spinney.errors import TerminalClosedError
from spinney.model import ExitStatus, SessionId
from spinney.ports import Attachment, AttachMode, Chunk, Gap, Size, Terminal


class _Nothing(Attachment):
    offset = 0
    snapshot = b""

    async def __aiter__(self) -> AsyncIterator[Chunk | Gap]:
        return
        yield


class EndedTerminal(Terminal):
    """What is left of it: how it ended. The output is gone."""

    def __init__(
        self,
        session_id: SessionId,
        ref: dict[str, JsonValue],
        status: ExitStatus,
        clear: Callable[[], None],
    ) -> None:
        """Tell of a process; ``clear`` removes what its keeper has left."""
        self._session_id = session_id
        self._ref = ref
        self._status = status
        self._clear = clear

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

    @asynccontextmanager
    async def attach(
        self, from_offset: int | None = None, mode: AttachMode = AttachMode.LOSSY
    ) -> AsyncIterator[Attachment]:
        """View nothing."""
        await lowlevel.checkpoint()
        yield _Nothing()

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
        """Remove what the keeper has written down."""
        await lowlevel.checkpoint()
        self._clear()
