"""What a keeper's terminal writes, as a host sees it: the mapped ring and its viewers."""

from __future__ import annotations

from collections.abc import Callable

from spinney.ports import Attachment, AttachMode, Chunk, Gap, Resize, Size
from spinney_keeper.keeper.ring import SPARE, LastRing, MappedRing
from spinney_unix.picture import Picture
from spinney_unix.readiness import Bell

_CHUNK = 64 * 1024
_SIZES = 256
"""Sizes that are remembered at most, the latest; as the keeper does."""


class Output:
    """The output of one terminal and its viewers."""

    def __init__(
        self,
        ring: MappedRing | LastRing,
        sizes: list[Resize],
        hold: Callable[[int | None], None],
    ) -> None:
        """Show what is in ``ring``.

        Args:
            ring: that of the keeper, or what it held last.
            sizes: the sizes of the window so far.
            hold: tells the keeper from where on nothing may be overwritten, ``None`` for nowhere.
        """
        self.ring = ring
        self.sizes = sizes
        self.picture = Picture(ring, sizes)
        self.news = Bell()
        """Rings when there is more, or when no more will come."""
        self.closed = False
        self._hold = hold
        self._held = 0
        self._step = (ring.capacity - SPARE) // 8
        self._due = (ring.capacity - SPARE) // 2
        self._viewers = 0
        self._lossless: list[Viewer] = []
        self._latest: Chunk | None = None

    def ring_bell(self) -> None:
        """Take notice that there is more."""
        end = self.ring.end
        if end >= self._due:
            self._due = self.picture.keep_up(_CHUNK)
        self.news.ring()

    def resized(self, offset: int, size: Size) -> None:
        """Record that what came from ``offset`` on was written to a window of ``size``."""
        sizes = self.sizes
        if sizes[-1].offset == offset:
            sizes.pop()
        sizes.append(Resize(offset, size))
        while len(sizes) > 1 and (sizes[1].offset <= self.ring.start or len(sizes) > _SIZES):
            del sizes[0]

    def close(self) -> None:
        """Nothing more will come: viewers end once they have seen the rest."""
        self.closed = True
        self.news.ring()

    @property
    def slowest(self) -> int | None:
        """Where the slowest lossless viewer is."""
        return min((viewer.cursor for viewer in self._lossless), default=None)

    def add(self, viewer: Viewer) -> None:
        """Let ``viewer`` follow; if it is lossless, the keeper holds what comes already."""
        self._viewers += 1
        if viewer.lossless:
            self._lossless.append(viewer)
            self._tell()

    def remove(self, viewer: Viewer) -> None:
        """Let ``viewer`` go; whatever waited for it goes on."""
        self._viewers -= 1
        self._latest = None
        if viewer.lossless:
            self._lossless.remove(viewer)
            self._tell()

    def has_read(self, viewer: Viewer) -> None:
        """Take notice that ``viewer`` has moved on."""
        is_due = viewer.lossless and viewer.cursor - self._held >= self._step
        if is_due and self.slowest != self._held:
            self._tell()

    def _tell(self) -> None:
        slowest = self.slowest
        self._held = slowest or 0
        self._hold(slowest)

    def chunk(self, offset: int) -> Chunk | None:
        """Return output from ``offset`` on, one copy for all viewers that keep pace.

        ``None`` if it was overwritten meanwhile.
        """
        latest = self._latest
        if latest is None or latest.offset != offset:
            latest = Chunk(offset, self.ring.read(offset, _CHUNK))
            if offset < self.ring.start:
                return None
            self._latest = latest if self._viewers > 1 else None
        return latest


class Viewer(Attachment):
    """One viewer: a cursor into the ring, no queue. One task at a time may iterate it."""

    def __init__(self, output: Output, from_offset: int | None, mode: AttachMode) -> None:
        self.offset, kept = output.ring.newest()
        self.cursor = self.offset + len(kept)
        skipped = min(max((from_offset or 0) - self.offset, 0), len(kept))
        self.offset += skipped
        self.snapshot = kept[skipped:] if skipped else kept
        self.lossless = mode is AttachMode.LOSSLESS
        self._output = output
        self._fresh: Chunk | None = None

    @property
    def resizes(self) -> tuple[Resize, ...]:
        """The sizes of the window; see ``Attachment.resizes``."""
        return tuple(self._output.sizes)

    def __aiter__(self) -> Viewer:
        """Return itself: what has been yielded is not yielded again."""
        return self

    async def __anext__(self) -> Chunk | Gap:
        """Return the next chunk, or the gap before it."""
        output, ring = self._output, self._output.ring
        if (fresh := self._fresh) is not None:
            self._fresh = None
            return fresh
        while self.cursor == ring.end:
            if output.closed:
                raise StopAsyncIteration
            await output.news.wait()
        offset = self.cursor
        chunk = output.chunk(offset) if offset >= ring.start else None
        if chunk is None:
            first, kept = ring.newest()
            self._fresh = Chunk(first, kept)
            self.cursor = first + len(kept)
            return Gap(offset, first - offset)
        self.cursor += len(chunk.data)
        output.has_read(self)
        return chunk
