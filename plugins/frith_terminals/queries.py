"""Where the queries of a process are in its output, and the output without them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from time import monotonic

from anyio import lowlevel

from frith_os.pty import queries
from frith_os.pty.ring import Ring

MOST = 64
"""Queries that are answered at once; a program that asks more does not read the answers."""
_NONE = array("Q")
"""Shared by all terminals whose process has asked nothing."""
_SLICE = 64 * 1024
"""Bytes of earlier output that are searched without a pause."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query of the process."""

    start: int
    """Its offset in the output."""
    data: bytes
    found_at: float
    """By ``time.monotonic()``."""

    @property
    def end(self) -> int:
        """The offset after it."""
        return self.start + len(self.data)


class Queries:
    """The queries in a ring.

    What is kept of them takes at most a few times the memory of the ring, and that only if the
    output consists of queries.
    """

    __slots__ = ("_earlier", "_ends", "_last", "_ring", "_starts", "searched")

    def __init__(self, ring: Ring, recent: int | None) -> None:
        """Search ``ring`` from the offset ``recent``, by default what follows.

        Earlier output is searched only if it is shown.
        """
        self._ring = ring
        self._starts = self._ends = _NONE
        self._last = 0
        """Where the last of them ends."""
        if recent is None:
            first = max(ring.start, ring.end - queries.LONGEST)
            recent = first + queries.find(ring.read(first, queries.LONGEST))[1]
        self.searched = max(ring.start, recent)
        """The offset up to which the output was searched: not into an unfinished query."""
        self._earlier = self.searched
        """The offset up to which it was not searched, because it came before this host."""

    def search(self) -> list[Query]:
        """Return the first queries in the output that has come since the last call."""
        ring, end = self._ring, self._ring.end
        at = max(self.searched, ring.start)
        if not ring.holds(b"\x1b", at):
            self.searched = max(at, end)
            return []
        data = ring.read(at, end - at)
        if (lost := ring.start - at) > 0:  # overwritten meanwhile
            at, data = at + lost, data[lost:]
        spans, rest = queries.find(data)
        self.searched = at + rest
        if not spans:
            return []
        self._forget_lost()
        if self._ends is _NONE:
            self._starts, self._ends = array("Q"), array("Q")
        self._starts.extend(at + start for start, _ in spans)
        self._ends.extend(at + end for _, end in spans)
        self._last = self._ends[-1]
        now = monotonic()
        return [Query(at + start, data[start:end], now) for start, end in spans[:MOST]]

    def _forget_lost(self) -> None:
        if self._ends and self._ends[0] <= self._ring.start:
            lost = bisect_right(self._ends, self._ring.start)
            del self._starts[:lost], self._ends[:lost]

    async def search_earlier(self, offset: int | None) -> None:
        """Search the output that came before this host, because it is shown from ``offset`` on."""
        if (offset or 0) >= self._earlier:
            return
        starts, ends = array("Q"), array("Q")
        at, ring = self._ring.start, self._ring
        while (at := max(at, ring.start)) < self._earlier:
            size = min(self._earlier - at, _SLICE)
            spans, rest = queries.find(ring.read(at, size))
            starts.extend(at + start for start, _ in spans)
            ends.extend(at + end for _, end in spans)
            at += rest or size
            await lowlevel.checkpoint()
        if self._earlier:  # otherwise another call was quicker
            self._earlier = 0
            self._starts, self._ends = starts + self._starts, ends + self._ends
            self._last = self._ends[-1] if self._ends else 0

    def after(self, offset: int) -> int:
        """Return ``offset``, or the end of the query that it is within."""
        at = bisect_right(self._ends, offset)
        return self._ends[at] if at < len(self._ends) and self._starts[at] < offset else offset

    def blanked(self, offset: int, data: bytes, asked: Collection[int] = ()) -> bytes:
        """Return the output ``data`` from ``offset`` on with queries that have no effect.

        Args:
            offset: of its first byte.
            data: as it was written.
            asked: offsets of the queries to leave as they are.
        """
        if offset >= self._last:
            return data
        first = bisect_right(self._ends, offset)
        stop = bisect_left(self._starts, offset + len(data))
        if first >= stop:
            return data
        blanked = bytearray(data)
        for start, end in zip(self._starts[first:stop], self._ends[first:stop], strict=True):
            if start not in asked:
                blank = queries.without_effect(end - start)[max(0, offset - start) :]
                at = max(0, start - offset)
                blanked[at : end - offset] = blank[: len(data) - at]
        return bytes(blanked)
