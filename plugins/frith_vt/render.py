"""Writes the state of an emulator as bytes that reproduce it on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from frith_vt.cursor import Cursor
from frith_vt.emulator import Emulator
from frith_vt.grid import BLANK, Grid, Line
from frith_vt.modes import CURSOR, KNOWN, ORIGIN, USUAL, Modes
from frith_vt.pen import PLAIN

_Row = tuple[int, Line]
_BARE = "\x1b[?6l\x1b(B\x1b)B\x0f\x1b[0m"
"""No origin mode, ASCII, no colours."""
_UNTOUCHED = f"\x1b[?1049l\x1b[?7h\x1b[4l\x1b[r{_BARE}\x1b[H\x1b[2J\x1b[3g\x1b[?25l"
"""Main screen, no margins, wrapping, no inserting, blank, no tab stops, cursor hidden."""


def render(emulator: Emulator, rows: int, columns: int) -> Iterator[bytes]:
    """Yield output that shows the screen on a terminal of this size, as it is at this moment.

    It comes in pieces, so that other code can run in between. Cells that the terminal has no room
    for are left out; of the rows those around the cursor are shown. Later output continues
    correctly if the sizes are equal.
    """
    fits = (rows, columns) == (emulator.rows, emulator.columns)
    first = max(0, emulator.row - rows + 1)
    out: list[str | _Row] = [_UNTOUCHED, *_tabs(emulator)]
    if fits:
        out.append(f"\x1b[{emulator.top + 1};{emulator.bottom + 1}r")
    if emulator.main:
        grid, saved = emulator.main
        out += _cells(grid, 0, rows, columns)
        out.append(_cursor(saved or Cursor(), grid, emulator.top))
        if saved and emulator.entered_by != 1049:  # which saves by itself
            out.append("\x1b7")
        out.append(f"\x1b[?{emulator.entered_by}h{_BARE}\x1b[H\x1b[2J")
    out += _cells(emulator.grid, first, rows, columns)
    if emulator.saved and fits:
        out.append(_cursor(emulator.saved, emulator.grid, emulator.top) + f"\x1b7{_BARE}")
    out.append(_cursor(emulator.cursor, emulator.grid, emulator.top, first))
    out += _modes(emulator.modes)
    out.append(f"\x1b]2;{emulator.title}\x07" if emulator.title else "")
    return _written(out, emulator.parser.unfinished if fits else b"")


def _tabs(emulator: Emulator) -> Iterator[str]:
    for stop in sorted(emulator.tabs):
        yield f"\x1b[{stop + 1}G\x1bH"


def _cells(grid: Grid, first: int, rows: int, columns: int) -> Iterator[str | _Row]:
    """Yield the rows from ``first`` on, on a terminal without colours or margins set."""
    for number, line in enumerate(grid.lines[first : first + rows], 1):
        yield number, line[:columns]
    yield "\x1b[0m"


def _written(out: list[str | _Row], unfinished: bytes) -> Iterator[bytes]:
    for piece in out:
        if isinstance(piece, str):
            yield piece.encode()
        else:
            text = _line(piece[1])
            yield f"\x1b[{piece[0]}H{text}".encode() if text else b""
    yield unfinished


def _line(line: Line) -> str:
    end = len(line)
    while end and line[end - 1] == BLANK:
        end -= 1
    out, pen = [], None
    for char, wanted in line[:end]:
        if wanted != pen and char:
            out.append(wanted.sgr)
            pen = wanted
        out.append(char)
    return "".join(out)


def _cursor(cursor: Cursor, grid: Grid, top: int, first: int = 0) -> str:
    """Return output that places the cursor, with its colours and character sets."""
    row, column, out = cursor.row - first, cursor.column, ""
    if cursor.origin:
        out, row = "\x1b[?6h", row - top
    if column < grid.columns:
        out += f"\x1b[{row + 1};{column + 1}H"
    else:
        # only writing the last cell makes the next character wrap
        line = grid.lines[cursor.row]
        at = column - 2 if line[-1][0] == "" else column - 1
        out += f"\x1b[{row + 1};{at + 1}H{line[at][1].sgr}{line[at][0]}"
    sets = zip("()", cursor.charsets.graphics, strict=True)
    out += "".join(f"\x1b{slot}0" for slot, graphics in sets if graphics)
    out += "\x0e" if cursor.charsets.shifted else ""
    return out + (cursor.pen.sgr if cursor.pen != PLAIN else "\x1b[0m")


def _modes(modes: Modes) -> Iterator[str]:
    for mode in sorted(KNOWN):
        if mode == CURSOR:
            yield "\x1b[?25h" if mode in modes.on else ""
        elif mode != ORIGIN and (mode in modes.on) != (mode in USUAL):
            yield f"\x1b[?{mode}{'h' if mode in modes.on else 'l'}"
    yield "\x1b[4h" if modes.insert else ""
    yield "\x1b=" if modes.keypad else ""
    yield f"\x1b[>4;{modes.other_keys}m" if modes.other_keys else ""
    yield f"\x1b[{modes.cursor_shape} q" if modes.cursor_shape else ""
    for flags in modes.keyboard:
        yield f"\x1b[>{flags}u"
