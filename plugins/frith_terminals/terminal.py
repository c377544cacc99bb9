"""The base of terminals whose output this host sees in a ring."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from frith.errors import TerminalClosedError
from frith.model import ExitStatus, SessionId
from frith.ports import Attachment, AttachMode, Screen, Size, Terminal
from frith_os.processes import environ_of
from frith_terminals.environment import TERMINAL_ID
from frith_terminals.readiness import Latch
from frith_terminals.viewing import Viewer, Viewers


class ViewedTerminal(Terminal):
    """A terminal with viewers. *exited* and *drained* are two events."""

    __slots__ = ("_drained", "_exited", "_session_id", "_status", "_viewers", "terminal_id")

    def __init__(self, session_id: SessionId, terminal_id: str, viewers: Viewers) -> None:
        self._session_id = session_id
        self.terminal_id = terminal_id
        self._viewers = viewers
        self._status: ExitStatus | None = None
        self._exited, self._drained = Latch(), Latch()

    @property
    def session_id(self) -> SessionId:
        """The session whose process this is."""
        return self._session_id

    @asynccontextmanager
    async def attach(
        self,
        from_offset: int | None = None,
        mode: AttachMode = AttachMode.LOSSY,
        *,
        viewer: str | None = None,
    ) -> AsyncIterator[Attachment]:
        """View the output; see ``Terminal.attach``."""
        viewers = self._viewers
        viewers.look()
        await viewers.queries.search_earlier(from_offset)
        attached = Viewer(viewers, from_offset, mode, viewer)
        viewers.add(attached)
        try:
            yield attached
        finally:
            viewers.remove(attached)

    async def screen(self, size: Size | None = None) -> Screen:
        """Return the screen as it is; see ``Terminal.screen``."""
        return await self._viewers.screen(size)

    async def exited(self) -> ExitStatus:
        """Wait for the process to end."""
        while (status := self._status) is None:
            await self._exited.wait()
        return status

    async def drained(self) -> None:
        """Wait until the process has ended and its output has been read."""
        await self._drained.wait()

    def check_running(self) -> None:
        """Refuse an operation that needs a living process.

        Raises:
            TerminalClosedError: it has ended.
        """
        if self._status is not None or self._drained.happened:
            raise TerminalClosedError("The process has ended; resume its session first.")

    def has_identity(self, pid: int) -> bool:
        """Return whether the process ``pid`` was started with the identity of this terminal."""
        return f"{TERMINAL_ID}={self.terminal_id}".encode() in (environ_of(pid) or ())


def checked(size: Size) -> tuple[int, int]:
    """Return rows and columns.

    Raises:
        ValueError: a terminal cannot have them.
    """
    if not all(1 <= cells <= 0xFFFF for cells in (size.rows, size.columns)):
        raise ValueError(f"a terminal cannot have {size.rows} rows and {size.columns} columns")
    return size.rows, size.columns
