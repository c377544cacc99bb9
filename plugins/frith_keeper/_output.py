"""What a keeper's terminal writes, as a host sees it: the mapped ring and its viewers."""

from __future__ import annotations

from collections.abc import Callable

from frith.ports import Chunk
from frith_keeper.keeper.ring import SPARE, LastRing, MappedRing
from frith_terminals.readiness import Bell
from frith_terminals.viewing import Viewer
from frith_vt import Picture

_CHUNK = 64 * 1024
_SIZES = 256
"""Sizes that are remembered at most, the latest; as the keeper does."""


class Output:
    """The output of one terminal and its viewers."""

    def __init__(
        self,
        ring: MappedRing | LastRing,
        sizes: list[tuple[int, int, int]],
        hold: Callable[[int | None], None],
    ) -> None:
        """Show what is in ``ring``.

        Args:
            ring: that of the keeper, or what it held last.
            sizes: offset, rows and columns: the sizes of the window so far.
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

    def resized(self, offset: int, rows: int, columns: int) -> None:
        """Record that what came from ``offset`` on was written to a window of this size."""
        sizes = self.sizes
        if sizes[-1][0] == offset:
            sizes.pop()
        sizes.append((offset, rows, columns))
        while len(sizes) > 1 and (sizes[1][0] <= self.ring.start or len(sizes) > _SIZES):
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

        ``None`` if it was overwritten, maybe just now.
        """
        if offset < self.ring.start:
            return None
        latest = self._latest
        if latest is None or latest.offset != offset:
            latest = Chunk(offset, self.ring.read(offset, _CHUNK))
            if offset < self.ring.start:
                return None
            self._latest = latest if self._viewers > 1 else None
        return latest
