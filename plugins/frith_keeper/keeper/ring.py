"""The newest output in memory that the keeper writes and hosts map read-only.

A page of header, then a ring: the byte at offset ``n`` of the output lies at ``n % capacity``. The
header has two counts of 8 bytes, as the machine has them: ``end``, after the newest byte, and
``reach``, up to which the keeper may be writing now. Who has copied bytes looks at ``reach`` again:
those from ``reach - capacity`` on are whole.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct

HEADER = mmap.PAGESIZE
SPARE = 64 * 1024
"""Bytes beyond the scrollback: room for what a kernel still holds when the process has ended."""
_COUNT = struct.Struct("@Q")
_END, _REACH = 0, 1
"""Where the counts are, in counts."""


class WrittenRing:
    """The ring as the keeper has it."""

    def __init__(self, scrollback: int) -> None:
        self.capacity = scrollback + SPARE
        self.end = 0
        self.fd = os.memfd_create("frith-scrollback", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, HEADER + self.capacity)
        # nobody who has the descriptor may cut off what others have mapped
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self._map = mmap.mmap(self.fd, HEADER + self.capacity)
        self._bytes = memoryview(self._map)
        self._counts = self._bytes[:HEADER].cast("Q")

    def read_from(self, master: int, limit: int) -> int:
        """Read at most ``limit`` bytes of ``master`` into the ring; return how many.

        Raises:
            OSError: as readv(2).
        """
        at = self.end % self.capacity
        most = min(limit, self.capacity - at)
        self._tell(self.end + most)
        got = 0
        try:
            got = os.readv(master, [self._bytes[HEADER + at : HEADER + at + most]])
        finally:
            self.end += got
            self._tell(self.end)
        return got

    def newest(self, most: int) -> list[memoryview]:
        """Return the newest bytes, ``most`` at most, in as many pieces as they lie in."""
        size = min(most, self.end, self.capacity)
        at = HEADER + (self.end - size) % self.capacity
        over = max(0, at + size - (HEADER + self.capacity))
        return [self._bytes[at : at + size - over], self._bytes[HEADER : HEADER + over]]

    def _tell(self, reach: int) -> None:
        # One store each: struct would clear them first, and a host might see that.
        self._counts[_END] = self.end
        self._counts[_REACH] = reach


class LastRing:
    """What a ring held last: bytes that nobody adds to any more."""

    def __init__(self, start: int, data: bytes) -> None:
        """Hold ``data``, which was written from offset ``start`` on."""
        self.start = start
        self.end = start + len(data)
        self.capacity = len(data) + SPARE
        self._data = data

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on."""
        return self._data[offset - self.start : offset - self.start + limit]

    def newest(self) -> tuple[int, bytes]:
        """Return everything, and the offset of its first byte."""
        return self.start, self._data

    def holds(self, byte: bytes, offset: int) -> bool:
        """Return whether ``byte`` occurs from ``offset`` on."""
        return self._data.find(byte, offset - self.start) >= 0


class MappedRing:
    """The ring as a host sees it."""

    def __init__(self, fd: int, capacity: int) -> None:
        """Map the ring behind ``fd``.

        Raises:
            ValueError, OSError: there is no such ring.
        """
        if os.fstat(fd).st_size < HEADER + capacity:
            raise ValueError("The ring is smaller than it says.")
        self.capacity = capacity
        self._map = mmap.mmap(fd, HEADER + capacity, prot=mmap.PROT_READ)
        self._last: LastRing | None = None

    @property
    def end(self) -> int:
        """Offset after the newest byte."""
        if self._last is not None:
            return self._last.end
        return int(_COUNT.unpack_from(self._map, _END * _COUNT.size)[0])

    @property
    def start(self) -> int:
        """Offset of the oldest byte that is still whole."""
        if self._last is not None:
            return self._last.start
        return max(0, int(_COUNT.unpack_from(self._map, _REACH * _COUNT.size)[0]) - self.capacity)

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on.

        They are whole if ``offset`` is not before :attr:`start` afterwards.
        """
        if self._last is not None:
            return self._last.read(offset, limit)
        size = min(limit, self.end - offset)
        at = HEADER + offset % self.capacity
        over = at + size - (HEADER + self.capacity)
        if over > 0:
            return self._map[at : at + size - over] + self._map[HEADER : HEADER + over]
        return self._map[at : at + size]

    def newest(self) -> tuple[int, bytes]:
        """Return all that is kept, and the offset of its first byte."""
        while self._last is None:
            offset = self.start
            data = self.read(offset, self.capacity)
            late = max(0, self.start - offset)  # less was read than there might have been
            if late < len(data) or not data:
                return offset + late, data[late:]
        return self._last.newest()

    def holds(self, byte: bytes, offset: int) -> bool:
        """Return whether ``byte`` occurs from ``offset`` on; copies nothing."""
        if self._last is not None:
            return self._last.holds(byte, offset)
        size = self.end - offset
        at = HEADER + offset % self.capacity
        over = at + size - (HEADER + self.capacity)
        find = self._map.find
        return find(byte, at, at + size - max(over, 0)) >= 0 or (
            over > 0 and find(byte, HEADER, HEADER + over) >= 0
        )

    def detach(self) -> None:
        """Keep what is there now, and give the memory and its descriptor back."""
        if self._last is None:
            self._last = LastRing(*self.newest())
            self._map.close()
