"""Viewers of the output of a terminal: each has a cursor into the ring, none a queue.

Waking a viewer costs as much as reading some kilobytes. So whoever reads the terminal wakes all of
them together: at once if little came, or if it came after a pause; at a bounded pace in a flood.
All that keep pace get the same pieces of output, copied from the ring once.

Viewers see the output up to a query of the process only, until it is known who answers it. Then
they are woken at once. The one that answers gets pieces of its own, which have the query.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from time import perf_counter

from anyio import lowlevel

from frith.ports import Attachment, AttachMode, Chunk, Gap, Resize, Screen, Size
from frith_os.pty.ring import SPARE, Ring
from frith_terminals.queries import Queries, Query
from frith_terminals.readiness import Bell
from frith_vt import Picture

_CHUNK = 64 * 1024
_LITTLE = 4096
"""Less output, an echo or a line, is passed on at once, unless much came just before."""
_PACE = 0.004
"""Seconds between two times that viewers are woken in a flood, unless the ring fills sooner."""
_HOLD = 0.002
"""Seconds within which no other code runs while a screen is drawn."""
_TURNS = 1000
"""Turns of the event loop within which the screen is worked out, however much output comes."""

OnQueries = Callable[[Sequence[Query]], None]


def _leave(queries: Sequence[Query]) -> None:
    """Have them answered by nobody."""


class Viewers:
    """The viewers of one terminal's output, and its screen."""

    __slots__ = (
        "_chunk",
        "_held",
        "_hold",
        "_is_paced",
        "_later",
        "_lossless",
        "_patience",
        "_shared",
        "_step",
        "_told",
        "_told_before",
        "_viewers",
        "end",
        "held",
        "is_closed",
        "news",
        "on_missed",
        "on_queries",
        "picture",
        "queries",
        "ring",
        "sizes",
    )

    def __init__(
        self,
        ring: Ring,
        sizes: Sequence[tuple[int, int, int]],
        hold: Callable[[int | None], None],
        later: Callable[[float, Callable[[], None]], None],
        recent: int | None = None,
    ) -> None:
        """Show ``ring``.

        Args:
            ring: the output.
            sizes: offset, rows and columns of the window; its owner keeps this up to date.
            hold: called with the offset from which on nothing may be overwritten; with ``None``
                if everything may.
            later: calls a function after some seconds; see :meth:`Readiness.later`.
            recent: offset from which on queries are still answered; by default those to come.
        """
        self.ring = ring
        self.sizes = sizes
        self.picture = Picture(ring, sizes)
        self.queries = Queries(ring, recent)
        self.held: int | None = None
        """Offset of a query of which it is not known yet who answers: viewers wait there."""
        self.on_queries: OnQueries = _leave
        """Called with new queries, also from a callback of the event loop."""
        self.on_missed: OnQueries = _leave
        """Called with queries that the viewer that was to answer has missed."""
        self.end = self.queries.searched
        """Offset after the newest byte that viewers may see."""
        self.news = Bell()
        """Rings when viewers are to look for more, or when no more will come."""
        self.is_closed = False
        """Whether no more will come."""
        self._hold = hold
        self._held = 0
        self._later = later
        scrollback = ring.capacity - SPARE
        self._step, self._patience = scrollback // 8, scrollback // 4
        self._chunk = max(_CHUNK, scrollback // 2)  # what comes until the next wake-up, mostly
        self._told = self._told_before = self.end
        self._is_paced = False
        self._viewers: list[Viewer] = []
        self._lossless: list[Viewer] = []
        self._shared: dict[int, Chunk] = {}

    def look(self) -> None:
        """Show viewers what has come since, now or soon; also from a callback of the event loop."""
        if found := self.queries.search():
            self.on_queries(found)
        self._move_end()
        came = self.end - self._told
        if came and (came >= self._patience or not self._is_paced):
            self._wake()

    def proceed(self) -> None:
        """Show viewers at once what was held, because it is known who answers a query."""
        self._move_end()
        if self.end > self._told:
            self._wake()

    def _move_end(self) -> None:
        if not self.is_closed:
            self.end = self.queries.searched if self.held is None else self.held

    def _wake(self) -> None:
        if self.end - self._told >= _LITTLE and not self._is_paced:
            self._is_paced = True
            self._later(_PACE, self._end_pace)
        self._told_before, self._told = self._told, self.end
        self._shared.clear()
        self.news.ring()

    def _end_pace(self) -> None:
        self._is_paced = False
        self._shared.clear()  # else it would be kept while nothing happens
        self.look()

    def close(self) -> None:
        """No more will come: viewers end once they have seen the rest."""
        self.queries.search()
        self.is_closed = True
        self.end = self._told = self.ring.end
        self.news.ring()

    def called(self, name: str) -> Viewer | None:
        """Return the latest viewer called ``name``."""
        named = [viewer for viewer in self._viewers if viewer.name == name]
        return named[-1] if named else None

    @property
    def slowest(self) -> int | None:
        """The cursor of the slowest lossless viewer."""
        return min((viewer.cursor for viewer in self._lossless), default=None)

    def add(self, viewer: Viewer) -> None:
        """Let ``viewer`` follow; from now on it delays the process if it is lossless."""
        self._viewers.append(viewer)
        if viewer.is_lossless:
            self._lossless.append(viewer)
            self._tell()

    def remove(self, viewer: Viewer) -> None:
        """Forget ``viewer``, which no longer delays the process."""
        self._viewers.remove(viewer)
        self._shared.clear()
        if viewer.is_lossless:
            self._lossless.remove(viewer)
            self._tell()
        self.give_back(viewer)

    def give_back(self, viewer: Viewer) -> None:
        """Have the queries answered that ``viewer`` was to see and will not."""
        if viewer.asked:
            missed = [query for query in viewer.asked if query.start >= viewer.cursor]
            viewer.asked = []
            self.on_missed(missed)

    def has_read(self, viewer: Viewer) -> None:
        """Record that ``viewer`` has moved on."""
        is_due = viewer.is_lossless and viewer.cursor - self._held >= self._step
        if is_due and self.slowest != self._held:
            self._tell()

    def _tell(self) -> None:
        slowest = self.slowest
        self._held = slowest or 0
        self._hold(slowest)

    def chunk(self, offset: int, asked: Collection[int] = ()) -> Chunk | None:
        """Return output from ``offset`` on, the same object to all viewers that keep pace.

        ``None`` if it was overwritten, maybe just now.

        Args:
            offset: of its first byte.
            asked: offsets of the queries that are for this viewer only.
        """
        if asked:
            return self._copy(offset, asked)
        shared = self._shared
        if (chunk := shared.get(offset)) is None or offset < self.ring.start:
            chunk = self._copy(offset)
            if chunk is not None and len(self._viewers) > 1 and offset >= self._told_before:
                shared[offset] = chunk
        return chunk

    def _copy(self, offset: int, asked: Collection[int] = ()) -> Chunk | None:
        ring = self.ring
        if offset < ring.start:
            return None
        data = ring.read(offset, min(self._chunk, self.end - offset))
        if offset < ring.start:
            return None
        return Chunk(offset, self.queries.blanked(offset, data, asked))

    def newest(self) -> Chunk:
        """Return everything that is kept."""
        first, kept = self.ring.newest()
        if first + len(kept) > self.end:
            kept = kept[: max(0, self.end - first)]
        return Chunk(first, self.queries.blanked(first, kept))

    async def screen(self, size: Size | None) -> Screen:
        """Return the screen as it is now; see ``Terminal.screen``."""
        await lowlevel.checkpoint()
        self.look()
        await self._work_out_screen()
        at, own, pieces = self.picture.screen((size.rows, size.columns) if size else None)
        data, until = bytearray(), perf_counter() + _HOLD
        for piece in pieces:
            data += piece
            if perf_counter() >= until:
                await lowlevel.checkpoint()
                until = perf_counter() + _HOLD
        return Screen(at, Size(*own), bytes(data))

    async def _work_out_screen(self) -> None:
        """Interpret the output that viewers may see now; once it has returned, no more is."""
        picture, end, turns = self.picture, self.end, 0
        while True:
            approach = picture.approach if turns < _TURNS else picture.skim
            if not approach(end):
                turns += 1
                await lowlevel.checkpoint()
            elif picture.at > self.end:  # shows what is behind an undecided query
                await self.news.wait()
                end = self.end
            else:
                return


class Viewer(Attachment):
    """One viewer. One task at a time may iterate it."""

    def __init__(
        self, viewers: Viewers, from_offset: int | None, mode: AttachMode, name: str | None = None
    ) -> None:
        """View the output; see ``Terminal.attach``."""
        kept = viewers.newest()
        self.cursor = kept.offset + len(kept.data)
        """Offset of the next byte to see."""
        self.offset = min(max(from_offset or 0, kept.offset), self.cursor)
        self.offset = min(viewers.queries.after(self.offset), self.cursor)
        self.snapshot = kept.data[self.offset - kept.offset :]
        self.is_lossless = mode is AttachMode.LOSSLESS
        self.name = name
        self.asked: list[Query] = []
        """The queries to come that are for this viewer."""
        self._viewers = viewers
        self._fresh: Chunk | None = None

    @property
    def resizes(self) -> tuple[Resize, ...]:
        """The sizes of the window; see ``Attachment.resizes``."""
        return tuple(Resize(at, Size(rows, columns)) for at, rows, columns in self._viewers.sizes)

    def __aiter__(self) -> Viewer:
        """Return itself: what has been yielded is not yielded again."""
        return self

    async def __anext__(self) -> Chunk | Gap:
        """Return the next chunk, or the gap before it."""
        viewers = self._viewers
        if (fresh := self._fresh) is not None:
            self._fresh = None
            return fresh
        while self.cursor >= viewers.end:
            if viewers.is_closed:
                raise StopAsyncIteration
            await viewers.news.wait()
        offset = self.cursor
        chunk = viewers.chunk(offset, [query.start for query in self.asked] if self.asked else ())
        if chunk is None:
            viewers.give_back(self)
            self._fresh = fresh = viewers.newest()
            self.cursor = fresh.offset + len(fresh.data)
            return Gap(offset, fresh.offset - offset)
        self.cursor += len(chunk.data)
        if self.asked:
            self.asked = [query for query in self.asked if query.end > self.cursor]
        viewers.has_read(self)
        return chunk
