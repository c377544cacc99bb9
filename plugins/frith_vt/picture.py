"""The screen of a terminal at some offset of its output, updated only on request.

Interpreting every byte at once would cost far more than reading it. So output waits in the ring,
and is interpreted when the screen is wanted, or when the ring is about to overwrite it:

- plain text that scrolled away is skipped, which loses nothing;
- other output is interpreted, up to a megabyte a second, and more for a while;
- faster output is skimmed: modes, margins and erasures count, text does not. Only this is an
  approximation, until the whole screen is redrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf
from time import perf_counter
from typing import Protocol

from frith_vt.answers import answer_from
from frith_vt.emulator import Emulator
from frith_vt.plain import SPECIAL, TAIL_A_CELL
from frith_vt.render import render

Size = tuple[int, int]
"""Rows and columns."""

_RATE = 1_000_000
"""Bytes a second that are interpreted, a quarter of what is possible."""
_SLICE = 8 * 1024
"""Bytes that are interpreted without looking for text to skip; four times that are skimmed."""
_MOST_LEFT = 16 * _SLICE
"""Bytes that are interpreted before a query to which the answer cannot wait."""
_PIECE = 1024
"""Bytes that are decoded at once."""
_WINDOW = 64 * 1024
"""Bytes that are searched for text to skip at once."""
_HOLD = 0.002
"""Seconds within which no other code runs: with one more sequence, the longest, less than five."""
_MOST_ROWS, _MOST_COLUMNS = 500, 1000
"""The largest screen; a process may ask for 65535 by 65535."""


class Ring(Protocol):
    """The newest output, each byte at its absolute offset."""

    kept: int
    """Bytes that are kept at most."""

    @property
    def start(self) -> int:
        """Offset of the oldest byte that is kept."""

    @property
    def end(self) -> int:
        """Offset after the newest byte."""

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on."""

    def holds(self, byte: bytes, offset: int) -> bool:
        """Return whether ``byte`` occurs from ``offset`` on."""


def _bounded(rows: int, columns: int) -> Size:
    return min(rows, _MOST_ROWS), min(columns, _MOST_COLUMNS)


class Picture:
    """The screen as it was at the offset :attr:`at`."""

    __slots__ = ("_clock", "_emulator", "_kept_up", "_ring", "_sizes", "_whole_from", "at")

    def __init__(
        self,
        ring: Ring,
        sizes: Sequence[tuple[int, int, int]],
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Follow ``ring``.

        Args:
            ring: the output.
            sizes: offset, rows and columns: from there on it was written to a window of that
                size. Its owner keeps this up to date.
            clock: returns seconds.
        """
        self._clock = clock
        self._kept_up = 0.0
        self._ring = ring
        self._sizes = sizes
        self._emulator: Emulator | None = None
        self._whole_from = 0
        """The offset up to which output must be interpreted, because text before was skipped."""
        self.at = 0

    @property
    def _behind(self) -> int:
        return self._ring.end - self.at

    def keep_up(self, came: int) -> int:
        """Interpret output before the ring overwrites it, at a bounded cost.

        Args:
            came: bytes that were just read.

        Returns:
            The end of the ring at which to do so again.
        """
        ring = self._ring
        most = ring.kept // 2
        until = self._clock() + _HOLD
        self._skip_plain(ring.end, until)
        if self._behind > most:
            now = self._clock()
            earned = int(min(now - self._kept_up, 1.0) * _RATE)
            self._kept_up = now
            self._advance(self.at + min(earned, self._behind, max(_SLICE, 2 * came)), until)
            self._skip_plain(ring.end, until)  # a prompt, then a flood
        if self._behind > most + most // 2:
            while not self.skim(ring.end - most // 2):
                pass
        return max(self.at + most, ring.end + min(_SLICE, most // 4))

    def approach(self, to: int) -> bool:
        """Interpret some of the output before the offset ``to``; return whether all of it is."""
        until = self._clock() + _HOLD
        if self.at < to:
            self._skip_plain(to, until)
        to = max(to, self._whole_from)
        return self._advance(min(to, self.at + _SLICE), until) and self.at >= to

    def bring_to(self, to: int) -> None:
        """Interpret the output before ``to`` at once; if that is much, the beginning in outline."""
        at = -1
        while at < self.at < to - _MOST_LEFT:
            at = self.at
            self._skip_plain(to, inf)
        while not self.skim(to - _MOST_LEFT):
            pass
        self._advance(to, inf)

    def answer(self, query: bytes) -> bytes:
        """Return the answer to a query at this offset."""
        return answer_from(self._started(), query)

    def screen(self, size: Size | None) -> tuple[int, Size, Iterator[bytes]]:
        """Return the screen: its offset, its size, and output that shows it.

        Args:
            size: of the terminal that is to show it; by default that of the screen.
        """
        emulator = self._started()
        own = emulator.rows, emulator.columns
        return self.at, own, render(emulator, *(size or own))

    def skim(self, to: int) -> bool:
        """Approach the offset ``to`` quickly: of the output only lasting effects count."""
        self._skip_lost()
        end = min(to, self.at + 4 * _SLICE)
        if end > self.at:
            self._started().skim(self._ring.read(self.at, end - self.at))
            self.at = end
        return self.at >= to

    def _started(self) -> Emulator:
        if self._emulator is None:
            self._emulator = Emulator(*_bounded(*self._sizes[0][1:]))
        return self._emulator

    def _skip_plain(self, to: int, until: float) -> None:
        """Skip plain text before ``to`` that scrolled away, and was written at one size."""
        has_time = self._advance(self.at, until)  # what was left when time was over
        emulator, ring = self._started(), self._ring
        if not (has_time and emulator.is_settled):
            return
        later = [offset for offset, *_ in self._sizes if self.at < offset < to]
        end = later[0] if later else to
        at = self.at
        if not later and not any(ring.holds(byte, at) for byte in SPECIAL):
            # Nothing but text: its end suffices, and copying the rest would cost most.
            at = max(at, end - TAIL_A_CELL * emulator.rows * emulator.columns)
        end = min(end, at + _WINDOW)
        passed, covered_by = emulator.pass_over(ring.read(at, end - at))
        if at + passed > self.at:
            self.at, self._whole_from = at + passed, at + covered_by

    def _skip_lost(self) -> None:
        """Continue at the oldest byte if others are gone: a ring smaller than one reading."""
        if self.at < self._ring.start:
            self._started().skim(b"")
            self.at = self._ring.start

    def _advance(self, to: int, until: float) -> bool:
        """Interpret up to the offset ``to``; return ``False`` if it is ``until`` before that."""
        clock = self._clock

        def is_over() -> bool:
            return clock() >= until

        self._skip_lost()
        parser = self._started().parser
        has_time = parser.feed(b"", is_over)
        while has_time and self.at < to:
            self._fit()
            later = [offset for offset, *_ in self._sizes if self.at < offset < to]
            end = min(later[0] if later else to, self.at + _PIECE)
            data = self._ring.read(self.at, end - self.at)
            self.at = end
            has_time = parser.feed(data, is_over)
        if has_time:
            self._fit()
        return has_time

    def _fit(self) -> None:
        """Give the screen the size for which the output from here on was written."""
        held = [size for size in self._sizes if size[0] <= self.at]
        if held:
            self._started().resize(*_bounded(*held[-1][1:]))
