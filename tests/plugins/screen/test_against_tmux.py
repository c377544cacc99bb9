"""What is interpreted and rendered, against what tmux shows of the same output, cell for cell."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings

from frith_vt import Emulator, render

from .panes import Panes
from .sequences import COMPARABLE

ROWS, COLUMNS = 8, 30

CASES = {
    "a shell in the middle of a line": b"$ ls\r\na  b\r\n$ git comm",
    "256 colours": b"".join(b"\x1b[38;5;%d;48;5;%dmx" % (n, 255 - n) for n in range(200)),
    "true colour": b"\x1b[38;2;1;2;3mx\x1b[48:2::4:5:6my\x1b[K\x1b[m z",
    "attributes": b"".join(b"\x1b[%dmx\x1b[m" % n for n in (1, 2, 3, 4, 5, 7, 8, 9, 21, 53)),
    "underlines": b"\x1b[4:3mx\x1b[58:2::1:2:3my\x1b[58:5:9mz\x1b[59mw\x1b[24mv",
    "halves of wide characters": "\x1b[1m漢a\ra\r\n".encode(),
    "a wide character that does not fit": "\x1b[?7l\x1b[29Gab漢c\r\n".encode(),
    "wide and combining characters": "漢字 e\u0301 \u4e2d🙂|".encode() + b"x" * 21 + "漢".encode(),
    "line drawing": b"\x1b(0lqqk\x1b(B\r\n\x1b)0\x0ex  x\x0f x",
    "a scroll region": b"top\x1b[3;5r\x1b[3Ha\r\nb\r\nc\r\nd\r\ne\x1b[8Hbottom",
    "scrolling back": b"\x1b[2;6r\x1b[2Hone\x1bMtwo\x1b[2T\x1b[S",
    "the alternate screen": b"$ vi\x1b7\x1b[?1049h\x1b[2J\x1b[3;4Htext\x1b[?1h\x1b=",
    "back from the alternate screen": b"$ vi\x1b[?1049h\x1b[2Jtext\x1b[?1049l",
    "a pasting shell": b"\x1b[?2004h$ \x1b[?1h\x1b=",
    "the mouse": b"\x1b[?1000h\x1b[?1002h\x1b[?1006h",
    "a hidden cursor": b"\x1b[?25lworking",
    "origin mode": b"\x1b[3;6r\x1b[?6h\x1b[2;2Hx",
    "inserting": b"abc\x1b[H\x1b[4hxy",
    "a coloured background erased": b"\x1b[44m\x1b[2J\x1b[3Hx\x1b[K\x1b[2X\x1b[1;1H\x1b[L",
    "the last column": b"x" * 30,
    "the last column left": b"x" * 30 + b"\r\ny",
    "no wrapping": b"\x1b[?7l" + b"x" * 40 + b"y",
    "tab stops": b"\x1b[3g\x1b[5G\x1bH\x1b[9G\x1bH\r\ta\tb",
    "the alignment test": b"\x1b#8\x1b[3Hx",
}


def again(data: bytes, rows: int = ROWS, columns: int = COLUMNS) -> bytes:
    emulator = Emulator(rows, columns)
    emulator.feed(data)
    return b"".join(render(emulator, rows, columns))


@pytest.mark.parametrize("case", CASES)
def test_it_is_shown_as_tmux_shows_it(panes: Panes, case: str) -> None:
    direct = panes.written(CASES[case], ROWS, COLUMNS)
    assert panes.written(again(CASES[case]), ROWS, COLUMNS) == direct


@pytest.mark.parametrize("case", CASES)
def test_what_follows_is_shown_as_tmux_shows_it(panes: Panes, case: str) -> None:
    leave = b"\x1b[?1049l" if case == "the alternate screen" else b""
    after = leave + b"a\tb\x1b[1;31mc\r\nd\x1bMe" + b"\n" * ROWS
    direct = panes.written(CASES[case] + after, ROWS, COLUMNS)
    assert panes.written(again(CASES[case]) + after, ROWS, COLUMNS) == direct


def test_a_saved_cursor_is_restored_as_in_tmux(panes: Panes) -> None:
    before = b"ab\x1b[2;5r\x1b[3;4H\x1b[31m\x1b(0\x1b7\x1b[H\x1b[m\x1b(B"
    direct = panes.written(before + b"x\x1b8qq", ROWS, COLUMNS)
    assert panes.written(again(before) + b"x\x1b8qq", ROWS, COLUMNS) == direct


@pytest.mark.expensive("tries many examples")
@settings(
    max_examples=int(os.environ.get("FRITH_EXAMPLES", "60")),
    derandomize="FRITH_EXAMPLES" not in os.environ,  # where tmux differs is not for CI to find
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(COMPARABLE)
def test_any_output_is_shown_as_tmux_shows_it(panes: Panes, data: bytes) -> None:
    direct = panes.written(data, ROWS, COLUMNS)
    assert panes.written(again(data), ROWS, COLUMNS) == direct
