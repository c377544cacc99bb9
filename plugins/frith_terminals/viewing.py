"""Viewers of what a terminal writes: each a cursor into its ring, none a queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from anyio import lowlevel

from frith.ports import Attachment, AttachMode, Chunk, Gap, Resize, Screen, Size
from frith_terminals.readiness import Bell
from frith_vt import Picture

_APPROACHES = 256
"""Turns of the event loop within which the screen is worked out; a flood would go on for ever."""


class Ring(Protocol):
    """The newest output, each byte at its absolute offset."""

    @property
    def end(self) -> int:
        """Offset after the newest byte."""

    def newest(self) -> tuple[int, bytes]:
        """Return all that is kept, and the offset of its first byte."""


class Viewed(Protocol):
    """The output of one terminal."""

    closed: bool
    """Whether nothing more will come."""

    @property
    def ring(self) -> Ring:
        """What is kept of it."""

    @property
    def sizes(self) -> Sequence[tuple[int, int, int]]:
        """Offset, rows and columns: the sizes of the window so far."""

    @property
    def news(self) -> Bell:
        """Rings when there is more, or when no more will come."""

    def chunk(self, offset: int) -> Chunk | None:
        """Return output from ``offset`` on, ``None`` if that was overwritten."""

    def has_read(self, viewer: Viewer) -> None:
        """Take notice that ``viewer`` has moved on."""


class Viewer(Attachment):
    """One viewer. One task at a time may iterate it."""

    def __init__(self, output: Viewed, from_offset: int | None, mode: AttachMode) -> None:
        """View ``output``; see ``Terminal.attach``."""
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
        return tuple(Resize(at, Size(rows, columns)) for at, rows, columns in self._output.sizes)

    def __aiter__(self) -> Viewer:
        """Return itself: what has been yielded is not yielded again."""
        return self

    async def __anext__(self) -> Chunk | Gap:
        """Return the next chunk, or the gap before it."""
        output = self._output
        if (fresh := self._fresh) is not None:
            self._fresh = None
            return fresh
        while self.cursor == output.ring.end:
            if output.closed:
                raise StopAsyncIteration
            await output.news.wait()
        offset = self.cursor
        chunk = output.chunk(offset)
        if chunk is None:
            first, kept = output.ring.newest()
            self._fresh = Chunk(first, kept)
            self.cursor = first + len(kept)
            return Gap(offset, first - offset)
        self.cursor += len(chunk.data)
        output.has_read(self)
        return chunk


async def screen(picture: Picture, size: Size | None) -> Screen:
    """Return the screen as it is; the event loop has its turns meanwhile."""
    await lowlevel.checkpoint()
    for _ in range(_APPROACHES):
        if picture.is_near:
            break
        picture.approach()
        await lowlevel.checkpoint()
    at, own, data = picture.screen((size.rows, size.columns) if size else None)
    return Screen(at, Size(*own), data)
