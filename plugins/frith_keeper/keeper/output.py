"""What the command writes: read from the master into the ring, as far as hosts allow."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from .loop import READ, WRITE, Loop
from .ring import SPARE, WrittenRing

_READ = 64 * 1024
_LITTLE = 256
"""Fewer bytes are an echo or a line, and mostly all."""
_TURN = 64 * 1024
"""Bytes that are read before hosts are told of them, and have their turn."""
_SIZES = 256
"""Sizes that are remembered at most, the latest."""
_SETTLE = 0.1
"""Seconds after the exit within which output still counts if others hold the terminal."""
_LATE = SPARE
"""Bytes after the exit that still count then; a kernel holds back less."""


class Output:
    """The output of the command. *Drained* comes after the exit: two events."""

    def __init__(
        self, master: int, tty: str, loop: Loop, scrollback: int, size: tuple[int, int]
    ) -> None:
        self.ring = WrittenRing(scrollback)
        self.readable_ring = os.open(f"/proc/self/fd/{self.ring.fd}", os.O_RDONLY | os.O_CLOEXEC)
        """A descriptor that nobody can write through."""
        self.sizes: list[tuple[int, int, int]] = [(0, *size)]
        """Offset, rows, columns: from there on it was written to a window of that size."""
        self.is_drained = False
        self.drained_at: float | None = None
        """When it counts as drained at the latest; ``None`` before the exit."""
        self._master = master
        self._tty = tty
        self._loop = loop
        self._scrollback = scrollback
        self._on_writable: Callable[[], None] | None = None
        self._other_end: int | None = None
        self._held: int | None = None
        self._released = False
        self._paused = self._hung_up = False
        self._hangups = 0
        self._last = 0
        self._seen = 0
        self.watch(None)

    def watch(self, on_writable: Callable[[], None] | None) -> None:
        """Watch the master; ``on_writable`` is called when it takes input, too."""
        self._on_writable = on_writable
        if self.is_drained:
            return
        events = 0 if self._paused or self._hung_up else READ
        self._loop.watch(self._master, events | (WRITE if on_writable else 0), self._ready)

    def take_news(self) -> bool:
        """Return whether more has come since this was asked last."""
        news, self._seen = self.ring.end > self._seen, self.ring.end
        return news

    def look(self) -> None:
        """Read what is there already."""
        if not (self._paused or self._hung_up or self.is_drained):
            self._read()

    def hold(self, offset: int | None) -> None:
        """Overwrite nothing from ``offset`` on while the process lives, until released."""
        self._held = offset
        if self._paused and self._room() > 0:
            self._paused = False
            self.watch(self._on_writable)

    def release(self) -> None:
        """Wait for nobody any more."""
        self._released = True
        self.hold(self._held)

    def resized(self, size: tuple[int, int]) -> tuple[int, int, int] | None:
        """Take note of a new size; return it with its offset, ``None`` if it is the old one."""
        sizes, end = self.sizes, self.ring.end
        if sizes[-1][1:] == size:
            return None
        if sizes[-1][0] == end:
            sizes.pop()
        sizes.append((end, *size))
        oldest = end - self.ring.capacity
        while len(sizes) > 1 and (sizes[1][0] <= oldest or len(sizes) > _SIZES):
            del sizes[0]
        return sizes[-1]

    def newest(self) -> tuple[int, list[memoryview]]:
        """Return the scrollback, and the offset of its first byte."""
        pieces = self.ring.newest(self._scrollback)
        return self.ring.end - sum(map(len, pieces)), pieces

    def begin_to_drain(self) -> None:
        """Read what is left: the process has ended."""
        if self._other_end is not None:
            os.close(self._other_end)
            self._other_end = None
        self._hung_up = False
        self._last = self.ring.end + _LATE
        self.drained_at = monotonic() + _SETTLE
        self.release()
        self.watch(None)
        self._read()

    def settle(self, now: float) -> None:
        """Stop waiting for more if it is time."""
        if self.drained_at is not None and self.drained_at <= now:
            self._read()
            self._finish()

    def _finish(self) -> None:
        if not self.is_drained:
            self.is_drained, self.drained_at = True, None
            self._loop.forget(self._master)
            os.close(self._master)

    def _ready(self) -> None:
        if self._on_writable is not None:
            self._on_writable()
        self.look()

    def _room(self) -> int:
        if self.drained_at is not None:  # what hosts held at the exit they have still to read
            return self._last - self.ring.end
        if self._held is None or self._released:
            return _TURN
        return self._held + self._scrollback - self.ring.end

    def _read(self) -> None:
        stop = self.ring.end + _TURN
        while not self.is_drained and self.ring.end < stop:
            room = self._room()
            if room <= 0:
                self._paused = True
                self.watch(self._on_writable)
                return
            try:
                got = self.ring.read_from(self._master, min(_READ, room))
            except BlockingIOError:
                self._hangups = 0
                return
            except OSError:
                got = 0
            if got:
                self._hangups = 0
                if self.drained_at is not None:
                    if self.ring.end >= self._last:
                        self._finish()
                elif got < _LITTLE:
                    return
            elif not self._hang_up():
                return

    def _hang_up(self) -> bool:
        """Nobody holds the other end; tell whether to read on.

        The first time is not final: Linux may say so with data still queued.
        """
        if self.drained_at is not None:
            self._hangups += 1
            if self._hangups == 2:
                self._finish()
            return True
        # It may come back through /dev/tty; the master would be readable all the time.
        if self._other_end is None:
            with suppress(OSError):
                self._other_end = os.open(self._tty, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
                return False
        self._hung_up = True
        self.watch(self._on_writable)
        return False
