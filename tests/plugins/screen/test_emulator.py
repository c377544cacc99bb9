"""The emulator by itself: for any output at all, however it is cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frith_vt import Emulator, render

from .sequences import OUTPUT

ROWS, COLUMNS = 6, 20


def emulated(*pieces: bytes, rows: int = ROWS, columns: int = COLUMNS) -> Emulator:
    emulator = Emulator(rows, columns)
    for piece in pieces:
        emulator.feed(piece)
    return emulator


def rendered(*pieces: bytes, rows: int = ROWS, columns: int = COLUMNS) -> bytes:
    return b"".join(render(emulated(*pieces, rows=rows, columns=columns), rows, columns))


def lines(emulator: Emulator) -> list[str]:
    return ["".join(char for char, _ in line).rstrip() for line in emulator.grid.lines]


@given(st.binary(max_size=400), st.sampled_from([(1, 1), (1, 2), (2, 1), (3, 5), (6, 20)]))
def test_any_bytes_can_be_shown_at_any_size(data: Any, size: Any) -> None:
    rows, columns = size
    emulator = emulated(data, rows=rows, columns=columns)
    assert [len(line) for line in emulator.grid.lines] == [columns] * rows
    b"".join(render(emulator, rows + 1, columns + 1))
    b"".join(render(emulator, 1, 1))


@given(OUTPUT, st.integers(1, 8), st.integers(1, 24))
def test_any_output_can_be_shown_after_any_change_of_size(
    data: Any, rows: Any, columns: Any
) -> None:
    emulator = emulated(data)
    emulator.resize(rows, columns)
    emulator.feed(data)
    assert [len(line) for line in emulator.grid.lines] == [columns] * rows
    b"".join(render(emulator, rows, columns))


@given(OUTPUT | st.binary(max_size=200), st.data())
def test_where_the_output_is_cut_does_not_matter(data: Any, draw: Any) -> None:
    cut = draw.draw(st.integers(0, len(data)))
    assert rendered(data[:cut], data[cut:]) == rendered(data)
    assert rendered(*(data[at : at + 1] for at in range(len(data)))) == rendered(data)


@pytest.mark.expensive("tries many examples")
@settings(max_examples=300)
@given(OUTPUT | st.binary(max_size=200))
def test_what_is_rendered_shows_the_same_again(data: Any) -> None:
    once = rendered(data)
    assert rendered(once) == once


@pytest.mark.expensive("tries many examples")
@settings(max_examples=300)
@given(OUTPUT, OUTPUT)
def test_output_goes_on_after_what_is_rendered_as_if_nothing_had_happened(
    before: Any, after: Any
) -> None:
    after = b"\a" + after  # only repeating (REP) knows what was written just before
    assert rendered(rendered(before), after) == rendered(before, after)


@given(OUTPUT, st.integers(1, 40))
def test_what_is_rendered_is_bounded_by_the_size_of_the_screen(data: Any, times: Any) -> None:
    assert len(rendered(data * times)) < 4000 + 2 * ROWS * COLUMNS * 64


def test_wide_and_combining_characters_take_their_cells() -> None:
    emulator = emulated("漢e\u0301x".encode())
    assert [char for char, _ in emulator.grid.lines[0][:4]] == ["漢", "", "e\u0301", "x"]


def test_overwriting_half_of_a_wide_character_blanks_the_other_half() -> None:
    assert lines(emulated("漢字\x1b[2Gx".encode()))[0] == " x字"
    assert lines(emulated("漢字\x1b[3Gx".encode()))[0] == "漢x"


def test_a_character_after_the_last_column_wraps_and_a_line_feed_does_not_wrap_twice() -> None:
    assert lines(emulated(b"x" * COLUMNS + b"\r\ny"))[:2] == ["x" * COLUMNS, "y"]
    assert lines(emulated(b"x" * COLUMNS + b"y"))[:2] == ["x" * COLUMNS, "y"]


def test_the_main_screen_comes_back_after_the_alternate_one() -> None:
    before = b"shell$ \x1b[31mvi"
    inside = rendered(before + b"\x1b[?1049h\x1b[H\x1b[2Jtext\x1b[?2004h")
    assert rendered(inside, b"\x1b[?1049l\x1b[?2004l") == rendered(b"shell$ \x1b[31mvi\x1b7")


def test_a_sequence_that_is_not_finished_goes_on_after_the_screen() -> None:
    for cut in (b"\x1b", b"\x1b[", b"\x1b[3", b"\x1b(", b"\x1b]0;ti", b"\x1bP1$", b"\xe6\xbc"):
        assert rendered(cut).endswith(cut)


def test_a_string_too_long_to_be_kept_is_not_shown() -> None:
    assert lines(emulated(rendered(b"\x1bP" + b"q" * 9000), b"qqq\x1b\\shown"))[0] == "shown"
    assert lines(emulated(rendered(b"\x1b]8;" + b"q" * 9000), b"qqq\x07shown"))[0] == "shown"


def test_a_size_smaller_than_the_screen_shows_the_rows_around_the_cursor() -> None:
    text = b"\r\n".join(b"line %d" % number for number in range(ROWS))
    shown = Emulator(2, 6)
    shown.feed(b"".join(render(emulated(text), 2, 6)))
    assert lines(shown) == ["line 4", "line 5"]


def test_a_window_made_lower_keeps_the_row_of_the_cursor() -> None:
    emulator = emulated(b"\r\n".join(b"line %d" % number for number in range(ROWS)))
    emulator.resize(2, COLUMNS)
    assert lines(emulator) == ["line 4", "line 5"]
    emulator.feed(b"!")
    assert lines(emulator) == ["line 4", "line 5!"]
