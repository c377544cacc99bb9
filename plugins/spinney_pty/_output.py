"""What a terminal writes: read from the master, kept in the ring, followed by viewers."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum, auto

from anyio import Event

from spinney.ports import Attachment, AttachMode, Chunk, Gap
from spinney_pty._ring import Ring

_READ = 64 * 1024
_CHUNK = 64 * 1024
_TAIL = 64 * 1024
"""More than a kernel keeps of a terminal's unread output (15 KB on Linux 6.18)."""


class Pumped(Enum):
    """Why reading stopped."""

    SPENT = auto()
    """The budget is used up; there may be more."""
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

    __slots__ = ("_held", "_on_room", "_viewers", "closed", "master", "ring")

    def __init__(self, master: int, scrollback: int, on_room: Callable[[], None]) -> None:
        """Read from ``master``; ``on_room`` is called when a lossless viewer has read."""
        self.master = master
        self.ring = Ring(scrollback)
        self.closed = False
        self._viewers: list[Viewer] = []
        self._on_room = on_room
        self._held = True

    def pump(self, budget: int) -> Pumped:
        """Read what is there, about ``budget`` bytes of it, and wake the viewers."""
        before = self.ring.end
        try:
            return self._read(before + budget)
        finally:
            if self.ring.end > before:
                self._wake()

    def _read(self, stop: int) -> Pumped:
        while self.ring.end < stop:
            if self.closed:
                return Pumped.HANGUP
            if not (room := self._room()):
                return Pumped.BLOCKED
            try:
                data = os.read(self.master, min(_READ, room))
            except BlockingIOError:
                return Pumped.EMPTY
            except OSError:
                data = b""
            if not data:
                return Pumped.HANGUP
            self.ring.append(data)
        return Pumped.SPENT

    def _room(self) -> int:
        lossless = [v.cursor for v in self._viewers if v.lossless] if self._held else ()
        return self.ring.capacity - (self.ring.end - min(lossless, default=self.ring.end))

    def release(self) -> None:
        """Wait for no viewer any more."""
        if self._held and self._room() < _TAIL and any(v.lossless for v in self._viewers):
            self.ring.enlarge(self.ring.capacity + _TAIL)
        self._held = False

    def close(self) -> None:
        """Nothing more will come: viewers end once they have seen the rest."""
        self.closed = True
        self._wake()

    def add(self, viewer: Viewer) -> None:
        """Let ``viewer`` follow."""
        self._viewers.append(viewer)

    def remove(self, viewer: Viewer) -> None:
        """Let ``viewer`` go; whatever waited for it goes on."""
        self._viewers.remove(viewer)
        self._on_room()

    def has_read(self, viewer: Viewer) -> None:
        """Take notice that ``viewer`` has moved on."""
        if viewer.lossless:
            self._on_room()

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.wake()


class Viewer(Attachment):
    """One viewer: a cursor into the ring, no queue. One task at a time may iterate it."""

    def __init__(self, output: Output, from_offset: int | None, mode: AttachMode) -> None:
        ring = output.ring
        self.offset = min(max(from_offset or 0, ring.start), ring.end)
        self.snapshot = ring.read(self.offset, ring.capacity)
        self.cursor = ring.end
        self.lossless = mode is AttachMode.LOSSLESS
        self._output = output
        self._ready: Event | None = None

    def __aiter__(self) -> Viewer:
        """Return itself: what has been yielded is not yielded again."""
        return self

    async def __anext__(self) -> Chunk | Gap:
        """Return the next chunk, or the gap before it."""
        output, ring = self._output, self._output.ring
        while self.cursor == ring.end:
            if output.closed:
                raise StopAsyncIteration
            self._ready = Event()
            await self._ready.wait()
        offset = self.cursor
        if offset < ring.start:
            self.cursor = ring.start
            return Gap(offset, self.cursor - offset)
        data = ring.read(offset, _CHUNK)
        self.cursor += len(data)
        output.has_read(self)
        return Chunk(offset, data)

    def wake(self) -> None:
        """Tell a waiting viewer to look again."""
        if self._ready is not None:
            self._ready.set()
            self._ready = None
