"""Lines of cells, and operations on them."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from frith_vt.pen import PLAIN, Pen

Cell = tuple[str, Pen]
"""A character with its combining characters, and its pen.

The second cell of a wide character holds no character.
"""
Line = list[Cell]

BLANK: Cell = (" ", PLAIN)
_JAMO = range(0x1160, 0x1200)
"""Hangul vowels and final consonants: they combine with the consonant before."""


@lru_cache(8192)
def width(char: str) -> int:
    """Return how many cells ``char`` takes: 0 if it combines, 2 if it is wide (UAX #11)."""
    if unicodedata.category(char) in ("Mn", "Me", "Cf") and char != "\xad" or ord(char) in _JAMO:
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _blank_half(line: Line, at: int) -> None:
    """Blank the cell ``at`` if it is the half of a wide character whose other half is gone."""
    if not 0 <= at < len(line):
        return
    char, pen = line[at]
    if char == "":
        is_half = at == 0 or not _is_wide(line[at - 1][0])
    else:
        is_half = _is_wide(char) and (at + 1 == len(line) or line[at + 1][0] != "")
    if is_half:
        line[at] = (" ", pen)


def _is_wide(char: str) -> bool:
    return char > "\x7f" and width(char[0]) == 2


class Grid:
    """The cells of one screen. Rows and columns count from 0."""

    def __init__(self, rows: int, columns: int) -> None:
        self.columns = columns
        self.lines: list[Line] = [[BLANK] * columns for _ in range(rows)]

    def put(self, row: int, column: int, cells: list[Cell]) -> None:
        """Overwrite cells from ``column`` on; they must fit. Halves that are left go blank."""
        line, end = self.lines[row], column + len(cells)
        if line[column][0] == "" and column:
            line[column - 1] = BLANK
        if end < self.columns and line[end][0] == "":
            line[end] = BLANK
        line[column:end] = cells

    def insert(self, row: int, column: int, cells: list[Cell]) -> None:
        """Insert cells; cells beyond the margin are lost."""
        line = self.lines[row]
        line[column:column] = cells
        del line[self.columns :]
        for at in (column - 1, column + len(cells), self.columns - 1):
            _blank_half(line, at)

    def delete(self, row: int, column: int, count: int, blank: Cell) -> None:
        """Delete cells; blank ones come in at the margin."""
        line = self.lines[row]
        del line[column : column + count]
        line += [blank] * (self.columns - len(line))
        for at in (column - 1, column):
            _blank_half(line, at)

    def erase(self, row: int, first: int, end: int, blank: Cell) -> None:
        """Blank the cells ``first`` to ``end`` of a row."""
        if first < end:
            self.put(row, first, [blank] * (end - first))

    def erase_rows(self, first: int, end: int, blank: Cell) -> None:
        """Blank whole rows."""
        self.lines[first:end] = [[blank] * self.columns for _ in range(first, end)]

    def scroll(self, top: int, bottom: int, count: int, blank: Cell) -> None:
        """Move the rows ``top`` to ``bottom`` up by ``count``, down if negative."""
        height = bottom - top + 1
        by = max(-height, min(height, count))
        new = [[blank] * self.columns for _ in range(abs(by))]
        kept = self.lines[top + max(by, 0) : bottom + 1 + min(by, 0)]
        self.lines[top : bottom + 1] = kept + new if by > 0 else new + kept

    def resize(self, rows: int, columns: int, row: int) -> int:
        """Change the size; return how many rows went off the top.

        Rows beneath the cursor's ``row`` go first, as in most terminals. Nothing is wrapped anew.
        """
        self.columns = columns
        for line in self.lines:
            del line[columns:]
            line += [BLANK] * (columns - len(line))
            _blank_half(line, columns - 1)
        while len(self.lines) > max(rows, row + 1):
            self.lines.pop()
        gone = max(0, len(self.lines) - rows)
        del self.lines[:gone]
        self.lines += [[BLANK] * columns for _ in range(rows - len(self.lines))]
        return gone
