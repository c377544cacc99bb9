"""The state of a terminal after some output: cells, cursor, modes."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

from frith_vt import plain
from frith_vt.actions import ACTIONS, numbers
from frith_vt.cursor import Charsets, Cursor, moved, within
from frith_vt.grid import BLANK, Cell, Grid, width
from frith_vt.modes import ORIGIN, WRAP, Modes
from frith_vt.parser import Parser
from frith_vt.pen import PLAIN, Pen, select

_TAB = 8
_LONGEST_TITLE = 256
_MOST_COMBINED = 16
_REPORTED = frozenset({">m", " q", ">u", "<u", "=u"})
GRAPHICS = str.maketrans("`abcdefghijklmnopqrstuvwxyz{|}~", "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")
"""The DEC special graphics, chosen by ``ESC ( 0``."""


class Emulator:
    """A terminal without a window. Rows and columns count from 0."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.parser = Parser(self)
        self._reset()

    def _reset(self) -> None:
        self.grid = Grid(self.rows, self.columns)
        self.saved: Cursor | None = None
        self.main: tuple[Grid, Cursor | None] | None = None
        """The main screen and its saved cursor, while the alternate one is shown."""
        self.entered_by = 0
        """The mode that switched to the alternate screen."""
        self.row = self.column = 0
        self.top: int = 0
        self.bottom: int = self.rows - 1
        self.pen, self.charsets = PLAIN, Charsets()
        self.modes = Modes()
        self.tabs = set(range(_TAB, self.columns, _TAB))
        self.title = ""
        self._last = ""

    @property
    def cursor(self) -> Cursor:
        """Where and how the next character is written."""
        origin = ORIGIN in self.modes.on
        return Cursor(self.row, self.column, self.pen, self.charsets, origin)

    @property
    def blank(self) -> Cell:
        """An erased cell: it has only the background of the pen."""
        return (" ", Pen(background=self.pen.background)) if self.pen.background else BLANK

    def feed(self, data: bytes) -> None:
        """Interpret ``data``, which may begin and end anywhere; long plain text costs little."""
        at = 0
        while at < len(data):
            self.parser.feed(data[at : at + plain.LEAST])
            at += plain.LEAST
            if len(data) - at > plain.LEAST:
                at, _ = self.pass_over(data, at)

    @property
    def is_settled(self) -> bool:
        """Whether line feeds scroll the text, and no sequence is unfinished."""
        return self.top <= self.row <= self.bottom and self.parser.at_rest

    def pass_over(self, data: bytes, at: int = 0) -> tuple[int, int]:
        """Skip text that later text of ``data`` covers.

        Returns:
            Where to continue, and the end of the text that covers what was skipped.
        """
        if not self.is_settled:
            return at, at
        style, at, end = plain.shorten(data, at, self.rows, self.columns)
        self.parser.feed(style)
        return at, end

    def skim(self, data: bytes) -> None:
        """Interpret only sequences of ``data`` with lasting effect; drop an unfinished one."""
        self.parser.reset()
        self.feed(plain.lasting(data))

    def resize(self, rows: int, columns: int) -> None:
        """Change the size, as a terminal does before its program redraws."""
        if (rows, columns) == (self.rows, self.columns):
            return
        gone = self.grid.resize(rows, columns, self.row)
        self.row = within(rows, self.row - gone)
        self.column = within(columns, self.column)
        self.saved = moved(self.saved, gone, rows, columns)
        if self.main:
            grid, saved = self.main
            gone = grid.resize(rows, columns, saved.row if saved else 0)
            self.main = grid, moved(saved, gone, rows, columns)
        new = range(-(-self.columns // _TAB) * _TAB, columns, _TAB)
        self.tabs = {stop for stop in self.tabs if stop < columns} | set(new) - {0}
        self.rows, self.columns = rows, columns
        self.top, self.bottom = 0, rows - 1

    # Called by the parser.

    def text(self, text: str) -> None:
        """Write printable characters at the cursor."""
        if self.charsets.graphics[self.charsets.shifted]:
            text = text.translate(GRAPHICS)
        self._last = text[-1]
        if text.isascii():
            self._write(list(zip(text, repeat(self.pen))))
            return
        for char in text:
            cells = width(char)
            if cells == 0:
                self._combine(char)
            elif cells == 1:
                self._write([(char, self.pen)])
            elif self.columns > 1:
                self._write_wide(char)

    def _write(self, cells: list[Cell]) -> None:
        at, wraps = 0, WRAP in self.modes.on
        while at < len(cells):
            if self.column >= self.columns:
                if wraps:
                    self.column = 0
                    self.line_feed()
                else:
                    self.column = self.columns - 1
            room = self.columns - self.column
            part = cells[at : at + room]
            if not wraps and at + room < len(cells):
                part, at = [*part[:-1], cells[-1]], len(cells)
            if self.modes.insert:
                self.grid.insert(self.row, self.column, part)
            else:
                self.grid.put(self.row, self.column, part)
            self.column += len(part)
            at += room
        if not wraps:
            self.column = min(self.column, self.columns - 1)

    def _write_wide(self, char: str) -> None:
        if self.column >= self.columns - 1:
            if WRAP not in self.modes.on:
                return
            self.column = self.columns
        self._write([(char, self.pen), ("", self.pen)])

    def _combine(self, mark: str) -> None:
        line, at = self.grid.lines[self.row], self.column - 1
        if at > 0 and line[at][0] == "":
            at -= 1
        if at >= 0 and len(line[at][0]) < _MOST_COMBINED:
            line[at] = (line[at][0] + mark, line[at][1])

    def execute(self, control: str) -> None:
        """Handle one control character."""
        self._last = ""
        match control:
            case "\b":
                self.move_to_column(self.place - 1)
            case "\t":
                self.tab(1)
            case "\n" | "\v" | "\f":
                self.line_feed()
            case "\r":
                self.column = 0
            case "\x0e" | "\x0f":
                self.charsets = replace(self.charsets, shifted=control == "\x0e")

    def escape(self, sequence: str) -> None:
        """Handle ``ESC``, intermediates and a final character."""
        self._last = ""
        match sequence:
            case "7":
                self.save()
            case "8":
                self.restore()
            case "D":
                self.line_feed()
            case "E":
                self.column = 0
                self.line_feed()
            case "H":
                self.tabs.add(self.place)
            case "M":
                self._reverse_line_feed()
            case "c":
                self._reset()
            case "=" | ">":
                self.modes.keypad = sequence == "="
            case "#8":
                self.top, self.bottom = 0, self.rows - 1
                self.row = self.column = 0
                self.grid.erase_rows(0, self.rows, ("E", PLAIN))
            case _ if sequence[0] in "()" and len(sequence) == 2:
                graphics = list(self.charsets.graphics)
                graphics[sequence[0] == ")"] = sequence[1] == "0"
                self.charsets = replace(self.charsets, graphics=(graphics[0], graphics[1]))

    def control(self, function: str, parameters: str) -> None:
        """Handle ``CSI``: private marker, intermediates and final character; then parameters."""
        last, self._last = self._last, ""
        if function == "m":
            self.pen = select(self.pen, parameters)
        elif function in ("?h", "?l"):
            for mode in numbers(parameters):
                self._switch(mode, on=function == "?h")
        elif function in ("h", "l"):
            if 4 in numbers(parameters):
                self.modes.insert = function == "h"
        elif function == "b":
            count = min(numbers(parameters)[0] or 1, self.columns - self.place)  # as tmux does
            self.text(last * count) if last else None
        elif function in _REPORTED:
            self._take_mode(function, parameters)
        elif function == "!p":
            self._soften()
        elif action := ACTIONS.get(function):
            action(self, numbers(parameters))

    def string(self, kind: str, body: str) -> None:
        """Take the title of the window (``]``); other strings have no effect."""
        code, _, text = body.partition(";")
        if kind == "]" and code in ("0", "2"):
            self.title = "".join(char for char in text if char.isprintable())[:_LONGEST_TITLE]

    # Modes.

    def _switch(self, mode: int, *, on: bool) -> None:
        if mode in (47, 1047, 1049):
            self._alternate(mode, on=on)
        elif mode == 1048 and on:
            self.save()
        elif mode == 1048:
            self.restore()
        else:
            self.modes.switch(mode, on)
            if mode == ORIGIN:
                self.move_to(0, 0)

    def _alternate(self, mode: int, *, on: bool) -> None:
        if on and not self.main:
            if mode == 1049:
                self.save()
            self.main = self.grid, self.saved
            self.entered_by, self.saved = mode, None
            self.grid = Grid(self.rows, self.columns)
            self.grid.erase_rows(0, self.rows, self.blank)
        elif not on and self.main:
            (self.grid, self.saved), self.main = self.main, None
        if not on and mode == 1049:
            self.restore()

    def _take_mode(self, function: str, parameters: str) -> None:
        if function == ">m":
            kind, _, level = parameters.partition(";")
            if kind in ("", "4"):
                self.modes.other_keys = level.strip("0:;")[:1] if kind else ""
        elif function == " q":
            self.modes.cursor_shape = parameters.strip("0;:")[:1]
        else:
            self.modes.take_keyboard(function[0], parameters.replace(":", ";")[:16])

    def _soften(self) -> None:
        self.modes.soften()
        self.pen, self.charsets, self.saved = PLAIN, Charsets(), None
        self.top, self.bottom = 0, self.rows - 1

    # The cursor.

    @property
    def place(self) -> int:
        """The column that the cursor is shown in."""
        return min(self.column, self.columns - 1)

    def save(self) -> None:
        """Save the cursor."""
        self.saved = self.cursor

    def restore(self) -> None:
        """Restore the saved cursor; home without one."""
        cursor = self.saved or Cursor()
        self.row, self.column = min(cursor.row, self.rows - 1), min(cursor.column, self.columns)
        self.pen, self.charsets = cursor.pen, cursor.charsets
        self.modes.switch(ORIGIN, cursor.origin)

    def move_to_column(self, column: int) -> None:
        """Move within the row."""
        self.column = within(self.columns, column)

    def move_to_row(self, row: int) -> None:
        """Move within the column; counted from the margin in origin mode."""
        if ORIGIN in self.modes.on:
            self.row = min(max(self.top, self.top + row), self.bottom)
        else:
            self.row = within(self.rows, row)

    def move_to(self, row: int, column: int) -> None:
        """Move to a cell."""
        self.move_to_row(row)
        self.move_to_column(column)

    def move_by(self, rows: int) -> None:
        """Move within the margins, or outside them to the edge of the screen."""
        least = self.top if self.row >= self.top else 0
        most = self.bottom if self.row <= self.bottom else self.rows - 1
        self.row = min(max(least, self.row + rows), most)
        self.column = self.place

    def tab(self, count: int) -> None:
        """Move over tab stops, back if negative."""
        if count > 0:
            stops = sorted(stop for stop in self.tabs if stop > self.column)
            self.move_to_column(stops[count - 1] if count <= len(stops) else self.columns - 1)
        else:
            stops = sorted(stop for stop in self.tabs if stop < self.place)
            self.move_to_column(stops[count] if -count <= len(stops) else 0)

    def line_feed(self) -> None:
        """Move down, or scroll at the lower margin."""
        self.column = self.place
        if self.row == self.bottom:
            self.grid.scroll(self.top, self.bottom, 1, self.blank)
        elif self.row < self.rows - 1:
            self.row += 1

    def _reverse_line_feed(self) -> None:
        self.column = self.place
        if self.row == self.top:
            self.grid.scroll(self.top, self.bottom, -1, self.blank)
        elif self.row > 0:
            self.row -= 1
