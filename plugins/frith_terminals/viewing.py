"""Viewers of the output of a terminal: each has a cursor into the ring, none a queue.

Waking a viewer costs as much as reading some kilobytes. So whoever reads the terminal wakes all of
them together: at once if little came, or if it came after a pause; at a bounded pace in a flood.
All that keep pace get the same pieces of output, copied from the ring once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from anyio import lowlevel

from frith.ports import Attachment, AttachMode, Chunk, Gap, Resize, Screen, Size
from frith_os.pty.ring import SPARE, Ring
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


class Viewers:
    """The viewers of one terminal's output, and its screen."""

    __slots__ = (
        "_chunk",
        "_held",
        "_hold",
        "_is_paced",
        "_later",
        "_lossless",
        "_number",
        "_patience",
        "_shared",
        "_step",
        "_told",
        "_told_before",
        "is_closed",
        "news",
        "picture",
        "ring",
        "sizes",
    )

    def __init__(
        self,
        ring: Ring,
        sizes: Sequence[tuple[int, int, int]],
        hold: Callable[[int | None], None],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """Show ``ring``.

        Args:
            ring: the output.
            sizes: offset, rows and columns of the window; its owner keeps this up to date.
            hold: called with the offset from which on nothing may be overwritten; with ``None``
                if everything may.
            later: calls a function after some seconds; see :meth:`Readiness.later`.
        """
        self.ring = ring
        self.sizes = sizes
        self.picture = Picture(ring, sizes)
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
        self._told = self._told_before = ring.end
        self._is_paced = False
        self._number = 0
        self._lossless: list[Viewer] = []
        self._shared: dict[int, Chunk] = {}

    def more(self) -> None:
        """Wake the viewers, now or soon: there is more output."""
        came = self.ring.end - self._told
        if self._is_paced and came < self._patience:
            return
        if came >= _LITTLE and not self._is_paced:
            self._is_paced = True
            self._later(_PACE, self._end_pace)
        self._told_before, self._told = self._told, self.ring.end
        self._shared.clear()
        self.news.ring()

    def _end_pace(self) -> None:
        self._is_paced = False
        self._shared.clear()  # else it would be kept while nothing happens
        if self.ring.end > self._told:
            self.more()

    def close(self) -> None:
        """No more will come: viewers end once they have seen the rest."""
        self.is_closed = True
        self.news.ring()

    @property
    def slowest(self) -> int | None:
        """The cursor of the slowest lossless viewer."""
        return min((viewer.cursor for viewer in self._lossless), default=None)

    def add(self, viewer: Viewer) -> None:
        """Let ``viewer`` follow; from now on it delays the process if it is lossless."""
        self._number += 1
        if viewer.is_lossless:
            self._lossless.append(viewer)
            self._tell()

    def remove(self, viewer: Viewer) -> None:
        """Forget ``viewer``, which no longer delays the process."""
        self._number -= 1
        self._shared.clear()
        if viewer.is_lossless:
            self._lossless.remove(viewer)
            self._tell()

    def has_read(self, viewer: Viewer) -> None:
        """Record that ``viewer`` has moved on."""
        is_due = viewer.is_lossless and viewer.cursor - self._held >= self._step
        if is_due and self.slowest != self._held:
            self._tell()

    def _tell(self) -> None:
        slowest = self.slowest
        self._held = slowest or 0
        self._hold(slowest)

    def chunk(self, offset: int) -> Chunk | None:
        """Return output from ``offset`` on, the same object to all viewers that keep pace.

        ``None`` if it was overwritten, maybe just now.
        """
        ring, shared = self.ring, self._shared
        if offset < ring.start:
            return None
        if (chunk := shared.get(offset)) is None:
            chunk = Chunk(offset, ring.read(offset, self._chunk))
            if offset < ring.start:
                return None
            if self._number > 1 and offset >= self._told_before:
                shared[offset] = chunk
        return chunk

    async def screen(self, size: Size | None) -> Screen:
        """Return the screen as it is now; see ``Terminal.screen``."""
        await lowlevel.checkpoint()
        picture, end = self.picture, self.ring.end
        for _ in range(_TURNS):
            if picture.approach(end):
                break
            await lowlevel.checkpoint()
        else:
            while not picture.skim(end):
                await lowlevel.checkpoint()
        at, own, pieces = picture.screen((size.rows, size.columns) if size else None)
        data, until = bytearray(), perf_counter() + _HOLD
        for piece in pieces:
            data += piece
            if perf_counter() >= until:
                await lowlevel.checkpoint()
                until = perf_counter() + _HOLD
        return Screen(at, Size(*own), bytes(data))


class Viewer(Attachment):
    """One viewer. One task at a time may iterate it."""

    def __init__(self, viewers: Viewers, from_offset: int | None, mode: AttachMode) -> None:
        """View the output; see ``Terminal.attach``."""
        self.offset, kept = viewers.ring.newest()
        self.cursor = self.offset + len(kept)
        """Offset of the next byte to see."""
        skipped = min(max((from_offset or 0) - self.offset, 0), len(kept))
        self.offset += skipped
        self.snapshot = kept[skipped:] if skipped else kept
        self.is_lossless = mode is AttachMode.LOSSLESS
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
        while self.cursor == viewers.ring.end:
            if viewers.is_closed:
                raise StopAsyncIteration
            await viewers.news.wait()
        offset = self.cursor
        chunk = viewers.chunk(offset)
        if chunk is None:
            first, kept = viewers.ring.newest()
            self._fresh = Chunk(first, kept)
            self.cursor = first + len(kept)
            return Gap(offset, first - offset)
        self.cursor += len(chunk.data)
        viewers.has_read(self)
        return chunk
