"""The screen of a terminal at some offset of its output, updated only on request.

Interpreting every byte at once would cost far more than reading it. So output waits in the ring,
and is interpreted when the screen is wanted, or when the ring is about to overwrite it:

- plain text that scrolled away is skipped, which loses nothing;
- other output is interpreted, up to a megabyte a second, and more for a while;
- faster output is skimmed: modes, margins and erasures count, text does not. Only this is an
  approximation, until the whole screen is redrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
"""Bytes that are interpreted without a pause: some milliseconds."""
_MOST_LEFT = 16 * _SLICE
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

    __slots__ = ("_clock", "_emulator", "_kept_up", "_ring", "_sizes", "at")

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
        self._skip_plain(ring.end)
        if self._behind > most:
            now = self._clock()
            earned = int(min(now - self._kept_up, 1.0) * _RATE)
            self._kept_up = now
            self._advance(self.at + min(earned, self._behind, max(_SLICE, 2 * came)))
            self._skip_plain(ring.end)  # a prompt, then a flood
        if self._behind > most + most // 2:
            self._skim(ring.end - most // 2)
        return max(self.at + most, ring.end + min(_SLICE, most // 4))

    def is_near(self, to: int) -> bool:
        """Whether the output up to ``to`` can be interpreted at once."""
        return to - self.at <= _SLICE

    def approach(self, to: int) -> None:
        """Interpret some of the output up to ``to``: plain text of any length, and one slice."""
        self._skip_plain(to)
        self._advance(min(to, self.at + _SLICE))

    def bring_to(self, to: int) -> None:
        """Interpret the output up to ``to`` at once; if that is much, the beginning in outline."""
        if to - self.at > _MOST_LEFT:
            self._skip_plain(to)
        if to - self.at > _MOST_LEFT:
            self._skim(to - _MOST_LEFT)
        self._advance(to)

    def answer(self, query: bytes, at: int) -> bytes:
        """Return the answer to a query at the offset ``at``, as far as output was interpreted."""
        if self.is_near(at):
            self._advance(at)
        return answer_from(self._started(), query)

    def screen(self, to: int, size: Size | None) -> tuple[int, Size, bytes]:
        """Return the screen at the offset ``to``, or later if more has been interpreted.

        Args:
            to: the offset.
            size: of the terminal that is to show it; by default that of the screen.

        Returns:
            Its offset, its size, and output that shows it.
        """
        self.bring_to(to)
        emulator = self._started()
        own = emulator.rows, emulator.columns
        return self.at, own, render(emulator, *(size or own))

    def _started(self) -> Emulator:
        if self._emulator is None:
            self._emulator = Emulator(*_bounded(*self._sizes[0][1:]))
        return self._emulator

    def _skip_plain(self, to: int) -> None:
        """Skip plain text before ``to`` that scrolled away, and was written at one size."""
        self._advance(self.at)
        emulator, ring = self._started(), self._ring
        if not emulator.is_settled:
            return
        later = [offset for offset, *_ in self._sizes if self.at < offset < to]
        end = later[0] if later else to
        if not later and not any(ring.holds(byte, self.at) for byte in SPECIAL):
            # Nothing but text: its end suffices, and copying the rest would cost most.
            self.at = max(self.at, end - TAIL_A_CELL * emulator.rows * emulator.columns)
        if end > self.at:
            self.at += emulator.pass_over(ring.read(self.at, end - self.at))

    def _skim(self, to: int) -> None:
        self._skip_lost()
        if to > self.at:
            self._started().skim(self._ring.read(self.at, to - self.at))
            self.at = to

    def _skip_lost(self) -> None:
        """Continue at the oldest byte if others are gone: a ring smaller than one reading."""
        if self.at < self._ring.start:
            self._started().skim(b"")
            self.at = self._ring.start

    def _advance(self, to: int) -> None:
        self._skip_lost()
        held = [size for size in self._sizes if size[0] <= self.at]
        later = [size for size in self._sizes if self.at < size[0] <= to]
        for offset, rows, columns in held[-1:] + later:
            self._feed(offset)
            self._started().resize(*_bounded(rows, columns))
        self._feed(to)

    def _feed(self, to: int) -> None:
        if to > self.at:
            self._started().feed(self._ring.read(self.at, to - self.at))
            self.at = to
