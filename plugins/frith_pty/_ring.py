"""The newest output of a terminal, in a ring of bytes that grows as it is filled."""

from __future__ import annotations

import os


class Ring:
    """Keeps the last ``capacity`` bytes; every byte has an absolute offset, counted from 0."""

    __slots__ = ("_buffer", "_floor", "capacity", "end")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.end = 0
        """Offset after the newest byte."""
        self._buffer = bytearray()
        self._floor = 0

    @property
    def start(self) -> int:
        """Offset of the oldest byte that is still kept."""
        return max(self._floor, self.end - self.capacity)

    def append(self, data: bytes) -> None:
        """Add ``data``; the oldest bytes make room."""
        at, size = self.end % self.capacity, len(data)
        if (room := self.capacity - at) < size:
            self.append(data[:room])
            self.append(data[room:])
        else:
            # A buffer that is not full yet ends at ``at`` and grows.
            self._buffer[at : at + size] = data
            self.end += size

    def fill(self, fd: int, most: int) -> int:
        """Read once from ``fd``, at most ``most`` bytes, straight into the ring; see readv(2).

        Returns:
            How many bytes came; 0 at the end of the file.

        Raises:
            OSError: of the system call; ``BlockingIOError`` if there is nothing now.
        """
        at, buffer = self.end % self.capacity, self._buffer
        stop = min(at + most, self.capacity)
        if len(buffer) < stop:
            buffer.extend(bytes(stop - len(buffer)))
        with memoryview(buffer)[at:stop] as room:
            size = os.readv(fd, [room])
        self.end += size
        return size

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on, which must still be kept."""
        size = min(limit, self.end - offset)
        at = offset % self.capacity
        if (over := at + size - self.capacity) > 0:
            return bytes(self._buffer[at:] + self._buffer[:over])
        return bytes(memoryview(self._buffer)[at : at + size])

    def newest(self) -> tuple[int, bytes]:
        """Return all that is kept, and the offset of its first byte."""
        start = self.start
        return start, self.read(start, self.capacity)

    def holds(self, byte: bytes, offset: int) -> bool:
        """Return whether ``byte`` occurs from ``offset`` on; copies nothing."""
        at = offset % self.capacity
        stop = at + self.end - offset
        find, over = self._buffer.find, stop - self.capacity
        return find(byte, at, stop) >= 0 or (over > 0 and find(byte, 0, over) >= 0)

    def enlarge(self, capacity: int) -> None:
        """Keep up to ``capacity`` bytes from now on."""
        oldest, kept = self.newest()
        self.capacity, self.end, self._floor = capacity, oldest, oldest
        self._buffer = bytearray(capacity)
        self.append(kept)
