"""Viewing the terminal of a session: across gaps, sizes, hosts and processes."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from anyio import CancelScope, current_time, move_on_after, sleep_until

from frith._engine.context import Engine
from frith._engine.processes import has_process
from frith._engine.tasks import closing
from frith._flows.stop import TICK
from frith._flows.terminals import open_terminal
from frith.errors import (
    ReadOnlyViewError,
    SessionNotFoundError,
    SessionNotRunningError,
    StoreError,
    TerminalClosedError,
    TerminalError,
)
from frith.logs import log
from frith.model import ExitStatus, SessionId
from frith.ports import Attachment, AttachMode, Chunk, Gap, Screen, Size, Terminal
from frith.views import Ended, Output, Redraw, Shown, View

_FRAME = 1 / 30
"""Seconds between two redraws at least, unless the viewer wants one."""
_SETTLE = 0.05
"""Seconds within which a terminal whose output has ended says that no more can follow."""
_SECONDS_TO_LEAVE = 5.0

Reopen = Callable[[Terminal, bool], Awaitable[Terminal | None]]
"""Returns the next terminal to show, given the last one and whether its process has ended.

``None`` if the process has ended meanwhile. Raises ``SessionNotFoundError`` if the session has.
"""


@asynccontextmanager
async def view(
    engine: Engine,
    session_id: SessionId,
    viewer: str | None,
    size: Size | None,
    read_only: bool,
    mode: AttachMode,
    ended: bool,
    scrollback: bool,
) -> AsyncIterator[View]:
    """View a session; see :meth:`frith.SessionManager.view`."""

    async def reopen(last: Terminal, has_ended: bool) -> Terminal | None:
        return await engine.call(next_terminal, last, has_ended)

    terminal = await engine.call(open_terminal, session_id, ended)
    opened = OpenView(
        terminal, reopen, viewer, size, read_only=read_only, mode=mode, scrollback=scrollback
    )
    try:
        await opened.fit()
        yield opened
    finally:
        with move_on_after(_SECONDS_TO_LEAVE, shield=True):
            await opened.leave()


async def next_terminal(engine: Engine, last: Terminal, has_ended: bool) -> Terminal | None:
    """Wait for the next terminal to show; see :data:`Reopen`."""
    engine.follow()
    while True:
        session = await engine.ledger.need(last.session_id)
        if has_process(session):
            with suppress(SessionNotRunningError, TerminalError, StoreError):
                terminal = await open_terminal(engine, session.id, ended=False)
                if not (has_ended and terminal.ref == last.ref):
                    return terminal
        elif not has_ended:
            return None
        with move_on_after(TICK):
            await engine.ledger.changed()


class OpenView(View):
    """A view of one terminal after the other."""

    def __init__(
        self,
        terminal: Terminal,
        reopen: Reopen,
        viewer: str | None = None,
        size: Size | None = None,
        *,
        read_only: bool = False,
        mode: AttachMode = AttachMode.LOSSY,
        scrollback: bool = False,
    ) -> None:
        self.session_id = terminal.session_id
        self.viewer = viewer or f"view-{uuid4()}"
        self.size = size
        self.terminal = terminal
        self._reopen = reopen
        self._is_read_only = read_only
        self._mode = mode
        self._wants_scrollback = scrollback
        self._has_ended = False
        self._has_screens = True
        self._is_stale = False
        self._waiting = CancelScope()
        self._next_frame = 0.0
        self._items: AsyncGenerator[Shown[bytes]] | None = None

    async def __anext__(self) -> Shown[bytes]:
        """Return the next item."""
        if self._items is None:
            self._items = self._show()
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            raise
        except BaseException:
            self._items = None  # it has ended with the exception
            raise

    async def write(self, data: bytes) -> None:
        """Send input; see ``View.write``."""
        if self._is_read_only:
            raise ReadOnlyViewError
        await self.terminal.write(data)

    async def resize(self, size: Size) -> None:
        """Set the size of the window; see ``View.resize``."""
        before, self.size = self.size, size
        try:
            await self.fit()
        except ValueError:
            self.size = before
            raise
        self.redraw()

    def redraw(self) -> None:
        """Let a redraw be the next item; see ``View.redraw``."""
        self._is_stale = True
        self._waiting.cancel()

    async def fit(self) -> None:
        """Give the process the size of this viewer's window."""
        if self.size is not None and not self._is_read_only:
            with suppress(TerminalClosedError):
                await self.terminal.resize(self.viewer, self.size)

    async def leave(self) -> None:
        """Release the terminal, and the size that this viewer has given it."""
        try:
            if self._items is not None:
                await self._items.aclose()
        finally:
            await self.terminal.leave(self.viewer)

    async def _show(self) -> AsyncGenerator[Shown[bytes]]:
        """Yield what is to be seen, until the session is destroyed."""
        while True:
            if not self._has_ended:
                async with closing(self._show_terminal()) as items:
                    async for item in items:
                        yield item
                if await self._is_drained():
                    yield self._ended(await self._exit())
            try:
                following = await self._reopen(self.terminal, self._has_ended)
            except SessionNotFoundError:
                return
            is_other = following is None or following.ref != self.terminal.ref
            if is_other and not self._has_ended:
                yield self._ended(None)
            if following is not None:
                self.terminal, self._has_ended = following, False
                with suppress(TerminalError):
                    await self.fit()

    async def _is_drained(self) -> bool:
        """Return whether no more output can follow; else the terminal was only disconnected."""
        with move_on_after(_SETTLE):
            await self.terminal.drained()
            return True
        return False

    async def _exit(self) -> ExitStatus | None:
        try:
            return await self.terminal.exited()
        except TerminalError as error:
            log.warning("exit_unknown", session_id=self.session_id, reason=str(error))
            return None

    def _ended(self, status: ExitStatus | None) -> Ended:
        self._has_ended = True
        return Ended(status)

    async def _show_terminal(self) -> AsyncGenerator[Shown[bytes]]:
        """Yield what one terminal shows, until its output ends."""
        self._is_stale = True
        while self._is_stale:
            self._is_stale = False
            screen = None if self._wants_scrollback else await self.terminal.screen(self.size)
            begins_anew = screen is None and not self._wants_scrollback
            self._wants_scrollback = False
            start = screen.offset if screen else None
            # Only a viewer that gives the process its size answers its queries.
            viewer = None if self._is_read_only or self.size is None else self.viewer
            async with (
                self.terminal.attach(start, self._mode, viewer=viewer) as attachment,
                closing(attachment) as later,
            ):
                drawn = _size_of(attachment)
                if screen is not None:
                    yield self._redraw(screen)
                seen = attachment.offset if start is None else start
                pieces = _early(seen, attachment)
                while piece := pieces.popleft() if pieces else await self._next(later):
                    if _end_of(piece) <= seen and not begins_anew:
                        continue  # the screen shows it
                    if isinstance(piece, Gap):
                        await sleep_until(self._next_frame)
                        self._is_stale = True  # attached anew, it misses no query to come
                        break
                    if not self._fits(attachment, drawn) and (screen := await self._next_screen()):
                        seen, drawn = screen.offset, _size_of(attachment)
                        yield self._redraw(screen)
                    else:
                        data = piece.data[max(0, seen - piece.offset) :]
                        seen = _end_of(piece)
                        yield Redraw(data, drawn) if begins_anew else Output(data)
                        begins_anew = False

    async def _next(self, pieces: AsyncIterator[Chunk | Gap]) -> Chunk | Gap | None:
        """Return the next piece of output; ``None`` at the end, or if a redraw is wanted."""
        with CancelScope() as self._waiting:
            if not self._is_stale:
                return await anext(pieces, None)
        return None

    def _fits(self, attachment: Attachment, drawn: Size | None) -> bool:
        """Return whether output continues a screen of the size ``drawn`` in this window."""
        size = _size_of(attachment)
        return size is None or (size == drawn and self.size in (None, size))

    async def _next_screen(self) -> Screen | None:
        """Return the screen in time for the next frame; ``None`` if the provider cannot tell."""
        if not self._has_screens:
            return None
        await sleep_until(self._next_frame)
        screen = await self.terminal.screen(self.size)
        self._has_screens = screen is not None
        return screen

    def _redraw(self, screen: Screen) -> Redraw[bytes]:
        self._next_frame = current_time() + _FRAME
        return Redraw(screen.data, screen.size)


def _early(seen: int, attachment: Attachment) -> deque[Chunk | Gap]:
    """Return what an attachment has at once; a gap first if it begins after ``seen``."""
    pieces = deque[Chunk | Gap]([Chunk(attachment.offset, attachment.snapshot)])
    if attachment.offset > seen:
        pieces.appendleft(Gap(seen, attachment.offset - seen))
    return pieces


def _end_of(piece: Chunk | Gap) -> int:
    return piece.offset + (piece.missed if isinstance(piece, Gap) else len(piece.data))


def _size_of(attachment: Attachment) -> Size | None:
    """Return the present size of the window of the process, if it is recorded."""
    return attachment.resizes[-1].size if attachment.resizes else None
