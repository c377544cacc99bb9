"""The effect of control sequences on cells and cursor. Source: ECMA-48, section 8.3."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frith_vt.emulator import Emulator

Action = Callable[["Emulator", list[int]], None]
_MOST = 1 << 16


def numbers(parameters: str) -> list[int]:
    """Return parameters as numbers, 0 for those not given."""
    fields = (field.partition(":")[0] for field in parameters.split(";"))
    return [min(int(field[:9] or 0), _MOST) for field in fields]


def _count(given: list[int]) -> int:
    return given[0] or 1


def _insert(emulator: Emulator, given: list[int]) -> None:
    room = emulator.columns - emulator.place
    blanks = [emulator.blank] * min(_count(given), room)
    emulator.grid.insert(emulator.row, emulator.place, blanks)
    emulator.column = emulator.place


def _delete(emulator: Emulator, given: list[int]) -> None:
    emulator.column = emulator.place
    emulator.grid.delete(emulator.row, emulator.column, _count(given), emulator.blank)


def _erase_characters(emulator: Emulator, given: list[int]) -> None:
    emulator.column = emulator.place
    end = min(emulator.columns, emulator.column + _count(given))
    emulator.grid.erase(emulator.row, emulator.column, end, emulator.blank)


def _erase_in_line(emulator: Emulator, given: list[int]) -> None:
    first = emulator.place if given[0] == 0 else 0
    end = emulator.place + 1 if given[0] == 1 else emulator.columns
    if given[0] <= 2:
        emulator.grid.erase(emulator.row, first, end, emulator.blank)


def _erase_in_display(emulator: Emulator, given: list[int]) -> None:
    if given[0] in (0, 1):
        _erase_in_line(emulator, given)
        above, below = (0, emulator.row), (emulator.row + 1, emulator.rows)
        emulator.grid.erase_rows(*(above if given[0] else below), emulator.blank)
    elif given[0] == 2:
        emulator.grid.erase_rows(0, emulator.rows, emulator.blank)


def _scroll(emulator: Emulator, top: int, count: int) -> None:
    emulator.grid.scroll(top, emulator.bottom, count, emulator.blank)


def _lines(emulator: Emulator, count: int) -> None:
    """Insert or delete lines at the cursor, within the margins only."""
    if emulator.top <= emulator.row <= emulator.bottom:
        _scroll(emulator, emulator.row, count)
        emulator.column = emulator.place


def _to_row(emulator: Emulator, row: int) -> None:
    emulator.move_to_row(row)
    emulator.column = emulator.place


def _to(emulator: Emulator, given: list[int]) -> None:
    row, column = (*given, 0)[:2]
    emulator.move_to((row or 1) - 1, (column or 1) - 1)


def _by_lines(emulator: Emulator, rows: int) -> None:
    emulator.move_by(rows)
    emulator.column = 0


def _margins(emulator: Emulator, given: list[int]) -> None:
    top, bottom = (*given, 0)[:2]
    top, bottom = top or 1, min(bottom or emulator.rows, emulator.rows)
    if top < bottom:
        emulator.top, emulator.bottom = top - 1, bottom - 1
        emulator.move_to(0, 0)


def _clear_tabs(emulator: Emulator, given: list[int]) -> None:
    if given[0] == 0:
        emulator.tabs.discard(emulator.place)
    elif given[0] == 3:
        emulator.tabs.clear()


ACTIONS: dict[str, Action] = {
    "@": _insert,
    "A": lambda emulator, given: emulator.move_by(-_count(given)),
    "B": lambda emulator, given: emulator.move_by(_count(given)),
    "C": lambda emulator, given: emulator.move_to_column(emulator.place + _count(given)),
    "D": lambda emulator, given: emulator.move_to_column(emulator.place - _count(given)),
    "E": lambda emulator, given: _by_lines(emulator, _count(given)),
    "F": lambda emulator, given: _by_lines(emulator, -_count(given)),
    "G": lambda emulator, given: emulator.move_to_column(_count(given) - 1),
    "H": _to,
    "I": lambda emulator, given: emulator.tab(_count(given)),
    "J": _erase_in_display,
    "K": _erase_in_line,
    "L": lambda emulator, given: _lines(emulator, -_count(given)),
    "M": lambda emulator, given: _lines(emulator, _count(given)),
    "P": _delete,
    "S": lambda emulator, given: _scroll(emulator, emulator.top, _count(given)),
    "T": lambda emulator, given: _scroll(emulator, emulator.top, -_count(given)),
    "X": _erase_characters,
    "Z": lambda emulator, given: emulator.tab(-_count(given)),
    "`": lambda emulator, given: emulator.move_to_column(_count(given) - 1),
    "a": lambda emulator, given: emulator.move_to_column(emulator.place + _count(given)),
    "d": lambda emulator, given: _to_row(emulator, _count(given) - 1),
    "e": lambda emulator, given: emulator.move_by(_count(given)),
    "f": _to,
    "g": _clear_tabs,
    "r": _margins,
    "s": lambda emulator, _: emulator.save(),
    "u": lambda emulator, _: emulator.restore(),
}
"""By function: intermediates and final character."""
