"""How a cell is drawn: colours and attributes, as "select graphic rendition" (SGR) sets them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_ON = {
    **{code: str(code) for code in (1, 2, 3, 4, 5, 7, 8, 9, 53)},
    6: "5",
    21: "4:2",
}
_OFF = {
    22: frozenset({"1", "2"}),
    **{code: frozenset({str(code - 20)}) for code in (23, 24, 25, 27, 28, 29)},
    55: frozenset({"53"}),
}
_NUMBERS = {"5": 1, "2": 3}
"""How many numbers describe a colour: an index of the palette, or its channels."""


class Pen(NamedTuple):
    """Each field holds parameters of SGR, as they are sent."""

    attributes: frozenset[str] = frozenset()
    foreground: str = ""
    background: str = ""
    underline: str = ""

    @property
    def sgr(self) -> str:
        """The sequence that selects exactly this."""
        colours = (self.foreground, self.background, self.underline)
        fields = ["0", *sorted(self.attributes), *(colour for colour in colours if colour)]
        return f"\x1b[{';'.join(fields)}m"


PLAIN = Pen()


@lru_cache(4096)
def select(pen: Pen, parameters: str) -> Pen:
    """Return ``pen`` after SGR with ``parameters``; unknown parameters are skipped."""
    fields = iter(parameters.split(";"))
    for field in fields:
        pen = _select(pen, field, fields)
    return pen


def _select(pen: Pen, field: str, others: Iterator[str]) -> Pen:
    head, *details = field.split(":")
    code = int(head or 0)
    if code == 0:
        return PLAIN
    if code in (38, 48, 58):
        return _coloured(pen, code, details or _details(others), spelled=bool(details))
    if code == 4 and details:
        style = details[0]
        underlined = {"0": "", "1": "4"}.get(style, f"4:{style}" if style in "2345" else "4")
        return _with(pen, underlined, {"4"})
    if code in _ON:
        return _with(pen, _ON[code], {"4"} if code in (4, 21) else set())
    if code in _OFF:
        return _with(pen, "", _OFF[code])
    if 30 <= code <= 37 or 90 <= code <= 97:
        return pen._replace(foreground=head)
    if 40 <= code <= 47 or 100 <= code <= 107:
        return pen._replace(background=head)
    match code:
        case 39:
            return pen._replace(foreground="")
        case 49:
            return pen._replace(background="")
        case 59:
            return pen._replace(underline="")
    return pen


def _with(pen: Pen, attribute: str, without: frozenset[str] | set[str]) -> Pen:
    kept = {old for old in pen.attributes if old.partition(":")[0] not in without}
    return pen._replace(attributes=frozenset(kept | {attribute} if attribute else kept))


def _details(others: Iterator[str]) -> list[str]:
    kind = next(others, "")
    return [kind, *(next(others, "") for _ in range(_NUMBERS.get(kind, 0)))]


def _coloured(pen: Pen, code: int, details: list[str], *, spelled: bool) -> Pen:
    kind, *values = details
    count = _NUMBERS.get(kind)
    if spelled and kind == "2" and len(values) > _NUMBERS[kind]:
        del values[0]  # the colour space
    if count is None or len(values) < count:
        return pen
    numbers = [int(value or 0) for value in values[:count]]
    if max(numbers) > 0xFF:
        return pen
    colour = ";".join(map(str, (code, int(kind), *numbers)))
    if code == 38:
        return pen._replace(foreground=colour)
    if code == 48:
        return pen._replace(background=colour)
    # only with colons: programs and terminals without it would read attributes
    space = ":" if kind == "2" else ""
    return pen._replace(underline=f"58:{kind}:{space}{':'.join(map(str, numbers))}")
