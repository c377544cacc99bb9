"""The screen at the end of a ring that keeps less than was written."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frith_os.pty.ring import WrittenRing
from frith_vt import Emulator, Picture, render

from .sequences import OUTPUT

CAPACITY = 64 * 1024
SIZE = (24, 80)


def fill(ring: WrittenRing, data: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    while ring.fill(reading, len(data) or 1):
        pass
    os.close(reading)


class Written:
    """A ring, what is seen of it, and all that was ever written."""

    def __init__(self, rate: float = 1e9) -> None:
        """Write ``rate`` bytes a second."""
        self.ring = WrittenRing(CAPACITY)
        self.sizes = [(0, *SIZE)]
        self.picture = Picture(self.ring, self.sizes, lambda: len(self.whole) / rate)
        self.whole = b""
        self._due = CAPACITY // 2

    def write(self, data: bytes, at_once: int) -> None:
        for at in range(0, len(data), at_once):
            piece = data[at : at + at_once]
            fill(self.ring, piece)
            self.whole += piece
            if self.ring.end >= self._due:
                self._due = self.picture.keep_up(len(piece))

    def should_be(self) -> bytes:
        emulator = Emulator(*SIZE)
        emulator.parser.feed(self.whole)
        return render(emulator, *SIZE)

    def shown(self) -> bytes:
        offset, size, data = self.picture.screen(self.ring.end, None)
        assert (offset, size) == (self.ring.end, SIZE)
        return data


def numbered(lines: int, line: str) -> bytes:
    return "".join(line.format(number, number % 8) for number in range(lines)).encode()


@pytest.mark.parametrize("at_once", [4000, 16_000])
@pytest.mark.parametrize(
    "line", ["{} plain\r\n", "\x1b[3{1}m{0} colours\x1b[1m\r\n", "{} \x1b[m漢字\t|\r\n"]
)
def test_text_that_scrolled_away_is_passed_over_and_nothing_is_lost(
    line: Any, at_once: Any
) -> None:
    written = Written()
    written.write(b"\x1b]2;title\x07\x1b[?2004h\x1b[3;20r\x1b[5Hbefore", 100)
    written.write(numbered(30_000, line), at_once)
    assert written.shown() == written.should_be()


def test_a_colour_chosen_in_text_that_scrolled_away_holds_on() -> None:
    written = Written()
    written.write(numbered(20_000, "{}\r\n") + b"\x1b[7m" + numbered(20_000, "{}\r\n"), 16_000)
    assert b"\x1b[0;7m" in written.shown()
    assert written.shown() == written.should_be()


def test_what_comes_slowly_is_shown_as_it_is_long_after_the_ring_has_lost_it() -> None:
    written = Written(rate=500_000)
    written.write(b"\x1b[?1049h\x1b[Htop", 100)
    written.write(b"\x1b[20;1H\x1b[2Kworking\x1b[7m|\x1b[m" * 20_000, 1000)
    assert written.ring.start > 0
    assert written.shown() == written.should_be()


@pytest.mark.expensive("writes megabytes of output")
def test_of_what_comes_too_fast_the_modes_are_kept_and_a_new_screen_is_right() -> None:
    written, fast = Written(), b"\x1b[5;5Hfast\x1b[6;1H" * 50_000
    modes = b"\x1b[?1h\x1b[?2004h\x1b[?1006h\x1b[3;9r"
    written.write(b"\x1b[?1049h" + fast + modes + fast + b"\x1b[m\x1b[H\x1b[2Jnew", 16_000)
    assert written.shown() == written.should_be()


@settings(max_examples=30)
@given(st.lists(OUTPUT, min_size=1, max_size=4), st.integers(1, 4000))
def test_any_output_is_shown_however_often_it_was_looked_at(pieces: Any, at_once: Any) -> None:
    written = Written()
    for piece in pieces:
        written.write(piece, at_once)
        assert written.shown() == written.should_be()


def test_output_is_shown_at_the_size_it_was_written_for() -> None:
    written = Written()
    written.write(b"x" * 100 + b"\r\n", 100)
    written.sizes.append((written.ring.end, 24, 40))
    written.write(b"y" * 41, 100)
    _, size, data = written.picture.screen(written.ring.end, None)
    emulator = Emulator(24, 40)
    emulator.feed(b"x" * 40 + b"\r\n" + b"x" * 20 + b"\r\n" + b"y" * 41)
    assert (size, data) == ((24, 40), render(emulator, 24, 40))


def test_a_window_that_claims_to_be_enormous_costs_no_more_than_a_large_one() -> None:
    picture = Picture(WrittenRing(CAPACITY), [(0, 65535, 65535)])
    assert picture.screen(0, (24, 80))[1] == (500, 1000)
