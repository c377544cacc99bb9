"""The screen of a terminal at some offset of its output, brought up to date only when asked for.

Interpreting every byte as it comes would cost far more than reading it. So output waits in the
ring, and is interpreted when somebody wants to see the screen, or when the ring is about to
overwrite it. Three ways then:

- plain text that scrolled away is passed over, which loses nothing;
- other output is interpreted as it comes, as long as it comes slowly;
- what comes too fast for that is skimmed: modes, margins and erasures count, text does not. That
  alone is an approximation, which whatever draws the whole screen anew ends.
"""

from __future__ import annotations

from spinney.ports import Resize, Screen, Size
from spinney_pty._ring import Ring
from spinney_pty._vt import Emulator, render

_LITTLE = 4096
"""Bytes read at once by which one tells what comes slowly."""
_SLICE = 16 * 1024
"""Bytes that are interpreted without a pause: some milliseconds."""
_MOST_LEFT = 8 * _SLICE
_MOST_ROWS, _MOST_COLUMNS = 500, 1000
"""What there is of a window that claims to be larger; a process may ask for 65535 by 65535."""


def _bounded(size: Size) -> tuple[int, int]:
    return min(size.rows, _MOST_ROWS), min(size.columns, _MOST_COLUMNS)


class Picture:
    """The screen as it was at the offset :attr:`at`."""

    __slots__ = ("_emulator", "_ring", "_sizes", "at")

    def __init__(self, ring: Ring, sizes: list[Resize]) -> None:
        """Follow ``ring``, written to windows of ``sizes``, which its owner keeps up to date."""
        self._ring = ring
        self._sizes = sizes
        self._emulator: Emulator | None = None
        self.at = 0

    @property
    def _behind(self) -> int:
        return self._ring.end - self.at

    @property
    def due(self) -> int:
        """The end of the ring from which on :meth:`keep_up` must be called."""
        return self.at + self._ring.capacity // 2

    def keep_up(self, came: int) -> None:
        """See to it that the ring overwrites nothing unseen.

        Args:
            came: how many bytes were read since the last time; many come too fast.
        """
        ring = self._ring
        if ring.end < self.due:
            return
        if came <= _LITTLE:
            self._advance(min(ring.end, self.at + 2 * came))
            return
        self._pass_over()
        if ring.end >= self.due:
            self._advance(self.at + _LITTLE)  # a prompt, then a flood
            self._pass_over()
        if ring.end >= self.due:
            self._skim(ring.end - ring.capacity // 4)

    @property
    def is_near(self) -> bool:
        """Whether what is left can be interpreted at once."""
        return self._behind <= _SLICE

    def approach(self) -> None:
        """Interpret some of what is left: plain text of any length, and one slice."""
        self._pass_over()
        self._advance(min(self._ring.end, self.at + _SLICE))

    def screen(self, size: Size | None) -> Screen:
        """Return the screen at the end of the ring, for a terminal of ``size``."""
        if self._behind > _MOST_LEFT:
            self._skim(self._ring.end - _MOST_LEFT)
        self._advance(self._ring.end)
        emulator = self._begun()
        own = Size(emulator.rows, emulator.columns)
        wanted = size or own
        return Screen(self.at, own, render(emulator, wanted.rows, wanted.columns))

    def _begun(self) -> Emulator:
        if self._emulator is None:
            self._emulator = Emulator(*_bounded(self._sizes[0].size))
        return self._emulator

    def _pass_over(self) -> None:
        """Go on behind plain text that scrolled away, and was written at one size."""
        self._advance(self.at)
        later = (resize.offset for resize in self._sizes if resize.offset > self.at)
        end = min(later, default=self._ring.end)
        self.at += self._begun().pass_over(self._ring.read(self.at, end - self.at))

    def _skim(self, to: int) -> None:
        self._mind_loss()
        if to > self.at:
            self._begun().skim(self._ring.read(self.at, to - self.at))
            self.at = to

    def _mind_loss(self) -> None:
        """Go on at the oldest byte if unseen ones are gone: a ring smaller than one reading."""
        if self.at < self._ring.start:
            self._begun().skim(b"")
            self.at = self._ring.start

    def _advance(self, to: int) -> None:
        self._mind_loss()
        held = [resize for resize in self._sizes if resize.offset <= self.at]
        later = [resize for resize in self._sizes if self.at < resize.offset <= to]
        for resize in held[-1:] + later:
            self._feed(resize.offset)
            self._begun().resize(*_bounded(resize.size))
        self._feed(to)

    def _feed(self, to: int) -> None:
        if to > self.at:
            self._begun().feed(self._ring.read(self.at, to - self.at))
            self.at = to
