"""The cursor: where and how the next character is written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from frith_vt.pen import PLAIN, Pen


@dataclass(frozen=True, slots=True)
class Charsets:
    """Which of the two sets holds graphics, and which is in use."""

    graphics: tuple[bool, bool] = (False, False)
    shifted: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """The state that ``ESC 7`` saves and ``ESC 8`` restores."""

    row: int = 0
    column: int = 0
    """Counts from 0; equal to the number of columns if the next character wraps."""
    pen: Pen = PLAIN
    charsets: Charsets = Charsets()
    origin: bool = False


def within(count: int, place: int) -> int:
    """Return ``place``, limited to 0 to ``count`` - 1."""
    return min(max(0, place), count - 1)


def moved(saved: Cursor | None, up: int, rows: int, columns: int) -> Cursor | None:
    """Return a saved cursor on a screen of another size."""
    if saved is None:
        return None
    row, column = within(rows, saved.row - up), within(columns, saved.column)
    return replace(saved, row=row, column=column)
