"""What a terminal writes: read from the master, kept in the ring, followed by viewers."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum, auto
from time import perf_counter

from frith.ports import Chunk, Size
from frith_pty._ring import Ring
from frith_terminals.readiness import Bell
from frith_terminals.viewing import Viewer
from frith_vt import Picture

_READ = 64 * 1024
_LITTLE = 256
"""Fewer bytes are an echo or a line, and mostly all; a process that has much to say writes more."""
_CHUNK = 64 * 1024
_TAIL = 64 * 1024
"""More than a kernel keeps of a terminal's unread output (15 KB on Linux 6.18)."""

_SIZES = 256
"""Sizes that are remembered at most, the latest."""
_UNBOUNDED = 1 << 62


class Pumped(Enum):
    """Why reading stopped."""

    SPENT = auto()
    """The time is used up: there may be more."""
    LITTLE = auto()
    """Little came, mostly all there was: there may be more."""
    EMPTY = auto()
    """There is nothing to read now."""
    HANGUP = auto()
    """Nobody holds the other end."""
    BLOCKED = auto()
    """A lossless viewer has to read first."""


class Output:
    """The output of one terminal and its viewers.

    A lossless viewer holds up a living process only: once the process has ended or is being
    ended (:meth:`release`), reading waits for nobody. The ring then has room for what the kernel
    still holds, so that such a viewer misses nothing that was written before the exit.
    """

    __slots__ = (
        "_due",
        "_held",
        "_latest",
        "_lossless",
        "_on_room",
        "_viewers",
        "closed",
        "master",
        "news",
        "picture",
        "ring",
        "sizes",
    )

    def __init__(
        self, master: int, scrollback: int, size: Size, on_room: Callable[[], None]
    ) -> None:
        """Read from ``master``; ``on_room`` is called when a lossless viewer has read."""
        self.master = master
        self.ring = Ring(scrollback)
        self.sizes = [(0, size.rows, size.columns)]
        self.picture = Picture(self.ring, self.sizes)
        self._due = scrollback // 2
        self.closed = False
        self._viewers = 0
        self._lossless: list[Viewer] = []
        self._on_room = on_room
        self._held = True
        self.news = Bell()
        """Rings when there is more, or when no more will come."""
        self._latest: Chunk | None = None

    def pump(self, turn: Callable[[], float]) -> Pumped:
        """Read what is there, at least once; as long as there is much, until the turn is over.

        If little comes at first that is mostly all: stopping there saves the reading that would
        only say so, and the descriptor stays readable if there is more.

        Args:
            turn: begins a turn and returns when it is over, by ``perf_counter()``.
        """
        if self.closed:
            return Pumped.HANGUP
        ring, before = self.ring, self.ring.end
        stop = before + self._room()
        until = 0.0
        try:
            while (room := stop - ring.end) > 0:
                try:
                    if until:  # there is much: no copy in between
                        came = ring.fill(self.master, min(_READ, room))
                    else:
                        data = os.read(self.master, min(_READ, room))
                        came = len(data)
                        ring.append(data)
                except BlockingIOError:
                    return Pumped.EMPTY
                except OSError:
                    came = 0
                if not came:
                    return Pumped.HANGUP
                if ring.end >= self._due:
                    self._due = self.picture.keep_up(came)
                if not until:
                    if came < _LITTLE:
                        # Viewers that keep pace get these very bytes.
                        self._latest = Chunk(before, data)
                        return Pumped.LITTLE
                    until = turn()
                if perf_counter() >= until:
                    return Pumped.SPENT
            return Pumped.BLOCKED
        finally:
            if ring.end > before:
                self.news.ring()

    def _room(self) -> int:
        if not self._lossless or not self._held:
            return _UNBOUNDED
        slowest = min(viewer.cursor for viewer in self._lossless)
        return self.ring.capacity - (self.ring.end - slowest)

    def release(self) -> None:
        """Wait for no viewer any more."""
        if self._held and self._room() < _TAIL:
            self.ring.enlarge(self.ring.capacity + _TAIL)
        self._held = False

    def resized(self, size: Size) -> None:
        """Record that what comes from now on is written to a window of ``size``."""
        sizes, ring = self.sizes, self.ring
        if sizes[-1][1:] == (size.rows, size.columns):
            return
        if sizes[-1][0] == ring.end:
            sizes.pop()
        sizes.append((ring.end, size.rows, size.columns))
        while len(sizes) > 1 and (sizes[1][0] <= ring.start or len(sizes) > _SIZES):
            del sizes[0]

    def close(self) -> None:
        """Nothing more will come: viewers end once they have seen the rest."""
        self.closed = True
        self.news.ring()

    def add(self, viewer: Viewer) -> None:
        """Let ``viewer`` follow."""
        self._viewers += 1
        if viewer.lossless:
            self._lossless.append(viewer)

    def remove(self, viewer: Viewer) -> None:
        """Let ``viewer`` go; whatever waited for it goes on."""
        self._viewers -= 1
        if viewer.lossless:
            self._lossless.remove(viewer)
        self._latest = None
        self._on_room()

    def has_read(self, viewer: Viewer) -> None:
        """Take notice that ``viewer`` has moved on."""
        if viewer.lossless:
            self._on_room()

    def chunk(self, offset: int) -> Chunk | None:
        """Return output from ``offset`` on, one copy for all viewers that keep pace.

        ``None`` if it was overwritten.
        """
        if offset < self.ring.start:
            return None
        latest = self._latest
        if latest is None or latest.offset != offset:
            latest = Chunk(offset, self.ring.read(offset, _CHUNK))
            self._latest = latest if self._viewers > 1 else None
        return latest
