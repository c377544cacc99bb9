"""The newest output of a terminal: bytes in a ring, each at its absolute offset.

A keeper shares its ring with hosts, which map it read-only. There a page of header comes first,
with two counts of 8 bytes, as the machine has them: ``end``, after the newest byte, and ``reach``,
up to which the keeper may be writing now. A host that has copied bytes reads ``reach`` again:
those from ``reach - capacity`` on are whole.
"""

from __future__ import annotations

import fcntl
import mmap
import os

HEADER = mmap.PAGESIZE
SPARE = 64 * 1024
"""Bytes beyond the scrollback: room for the output that a kernel still holds at the exit (15 KB
on Linux 6.18)."""
_END, _REACH = 0, 1
"""Where the counts are, in counts."""


class Ring:
    """What was kept of an output; nothing is added any more.

    The byte at offset ``n`` lies at ``(n - base) % capacity``, after ``first`` other bytes.
    """

    __slots__ = ("_base", "_end", "_first", "_memory", "_start", "capacity", "kept")

    def __init__(self, start: int, data: bytes) -> None:
        """Hold ``data``, which was written from offset ``start`` on."""
        self._keep(start, data)

    def _keep(self, start: int, data: bytes) -> None:
        self.capacity = self.kept = len(data) + SPARE
        """Bytes that fit into the ring, and how many of them are kept at most."""
        self._start, self._end = start, start + len(data)
        self._memory: bytes | mmap.mmap = data
        self._first, self._base = 0, start

    @property
    def start(self) -> int:
        """Offset of the oldest byte that is kept."""
        return self._start

    @property
    def end(self) -> int:
        """Offset after the newest byte."""
        return self._end

    def _place(self, offset: int, size: int) -> tuple[int, int, int]:
        """Return where ``size`` bytes begin and stop, and how many follow at the beginning."""
        at = self._first + (offset - self._base) % self.capacity
        over = max(0, at + size - self._first - self.capacity)
        return at, at + size - over, over

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on.

        They are whole if ``offset`` is not before :attr:`start` afterwards.
        """
        at, stop, over = self._place(offset, min(limit, self.end - offset))
        if over:
            return self._memory[at:stop] + self._memory[self._first : self._first + over]
        return self._memory[at:stop]

    def newest(self) -> tuple[int, bytes]:
        """Return the offset of the oldest byte that is kept, and everything from there on."""
        while True:
            offset = self.start
            data = self.read(offset, self.capacity)
            late = max(0, self.start - offset)  # bytes overwritten meanwhile
            if late < len(data) or not data:
                return offset + late, data[late:] if late else data

    def holds(self, byte: bytes, offset: int) -> bool:
        """Return whether ``byte`` occurs from ``offset`` on; copies nothing."""
        at, stop, over = self._place(offset, self.end - offset)
        find = self._memory.find
        return find(byte, at, stop) >= 0 or (
            over > 0 and find(byte, self._first, self._first + over) >= 0
        )


class WrittenRing(Ring):
    """The ring of the process that reads the terminal; it takes memory as it is filled."""

    __slots__ = ("_counts", "_view", "fd")

    def __init__(self, scrollback: int, *, is_shared: bool = False) -> None:
        """Keep the newest ``scrollback`` bytes and some more; see :data:`SPARE`."""
        self._keep(0, b"")
        self.capacity = scrollback + SPARE
        self.kept = scrollback
        if is_shared:
            self._first = HEADER
            self.fd = os.memfd_create("frith-scrollback", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(self.fd, HEADER + self.capacity)
            # No holder of the descriptor may truncate what others have mapped.
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            memory = mmap.mmap(self.fd, HEADER + self.capacity)
        else:
            memory = mmap.mmap(-1, self.capacity, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memory = memory
        self._view = memoryview(memory)
        self._counts = self._view[:HEADER].cast("Q") if is_shared else [0, 0]

    @property
    def start(self) -> int:
        """Offset of the oldest byte that is kept."""
        return max(self._start, self._end - self.kept)

    def extend(self) -> None:
        """From now on keep more than the scrollback, as far as there is room."""
        self._start, self.kept = self.start, self.capacity

    def fill(self, fd: int, most: int) -> int:
        """Read once from ``fd``, at most ``most`` bytes; return how many came. See read(2).

        Raises:
            OSError: of the system call; ``BlockingIOError`` if there is nothing now.
        """
        at = self._end % self.capacity
        # The kernel copies 64 bytes at a time: that is faster into memory used a moment ago.
        data = os.read(fd, min(most, self.capacity - at))
        if data:
            at += self._first
            self._announce(self._end + len(data))
            self._view[at : at + len(data)] = data
            self._end += len(data)
            self._announce(self._end)
        return len(data)

    def pieces(self, most: int) -> list[memoryview]:
        """Return the newest bytes, ``most`` at most, in as many pieces as they lie in."""
        size = min(most, self._end, self.capacity)
        at, stop, over = self._place(self._end - size, size)
        return [self._view[at:stop], self._view[self._first : self._first + over]]

    def _announce(self, reach: int) -> None:
        # One store each: struct would clear them first, and a host might see that.
        self._counts[_END] = self._end
        self._counts[_REACH] = reach


class MappedRing(Ring):
    """The ring of a keeper as a host sees it."""

    __slots__ = ("_counts", "_map")

    def __init__(self, fd: int, capacity: int) -> None:
        """Map the ring behind ``fd``.

        Raises:
            ValueError, OSError: there is no such ring.
        """
        if os.fstat(fd).st_size < HEADER + capacity:
            raise ValueError("The ring is smaller than stated.")
        self._keep(0, b"")
        self.capacity = self.kept = capacity
        self._first = HEADER
        self._map: mmap.mmap | None = mmap.mmap(fd, HEADER + capacity, prot=mmap.PROT_READ)
        self._memory = self._map
        self._counts = memoryview(self._map)[:HEADER].cast("Q")

    @property
    def start(self) -> int:
        """Offset of the oldest byte that is still whole."""
        return self._start if self._map is None else max(0, self._counts[_REACH] - self.capacity)

    @property
    def end(self) -> int:
        """Offset after the newest byte."""
        return self._end if self._map is None else self._counts[_END]

    def detach(self) -> None:
        """Keep a copy of the output, and release the mapping."""
        if self._map is not None:
            kept, memory, self._map = self.newest(), self._map, None
            self._keep(*kept)
            self._counts.release()
            memory.close()
