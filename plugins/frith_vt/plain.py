"""Output that need not be interpreted, because later output covers it.

Text that only scrolls by, in colours or not, is covered once it has been followed by two screens
of lines: the first brings the cursor to the last row wherever it was, the second replaces all
rows. That is exact where lines end with CR LF. It is an approximation for text without them: its
column is then taken to be unchanged.
"""

from __future__ import annotations

import re

LEAST = 4096
"""Bytes that are always interpreted."""
TAIL_A_CELL = 16
"""Bytes for each cell of the screen that suffice for it, of text with ordinary lines."""
_MOST_SEQUENCES = 256
"""Different sequences of skipped output that are interpreted: the latest."""
SPECIAL = (b"\x1b", b"\x0e", b"\x0f")
"""The beginnings of anything but text: escape, and the shifts of character sets."""

_OTHER = re.compile(rb"\x1b(?!\[[0-9;:]*m)")
_STYLE = re.compile(rb"\x1b\[[0-9;:]*m")
_RESETS = (b"\x1b[m", b"\x1b[0m")
_LASTING = re.compile(
    rb"\x1b(?:\[[<=>?]?[0-9;:]*[hlmru]|\[!p|\[[0-3]?J|\[(?:1;1)?H|\[[0-9]* q|[78=>c]|[()][0B])"
)


def shorten(data: bytes, at: int, rows: int, columns: int) -> tuple[bytes, int, int]:
    """Find how much of ``data`` from ``at`` on is covered by later output.

    The cursor must be within the margins and no sequence unfinished.

    Returns:
        The colours that the covered part selects, where to continue, and the end of the text that
        covers it.
    """
    end = _end_of_plain(data, at)
    if end - at <= LEAST:
        return b"", at, end
    cut = _lines_back(data, at, end, 2 * rows)
    if cut < 0:
        cut = max(at, end - TAIL_A_CELL * rows * columns)
        while cut > at and 0x80 <= data[cut] < 0xC0:  # within a character
            cut -= 1
        begun = data.rfind(b"\x1b", at, cut)
        if begun >= 0 and (style := _STYLE.match(data, begun)) and style.end() > cut:
            cut = begun
    if data.find(b"\x1b", at, cut) < 0:  # quicker than looking for sequences
        return b"", cut, end
    reset = max(data.rfind(sequence, at, cut) for sequence in _RESETS)
    return _latest(_STYLE.findall(data, max(at, reset), cut)), cut, end


def _end_of_plain(data: bytes, at: int) -> int:
    other = _OTHER.search(data, at) if b"\x1b" in data else None
    end = other.start() if other else len(data)
    for shift in SPECIAL[1:]:
        if (found := data.find(shift, at, end)) >= 0:
            end = found
    return end


def _lines_back(data: bytes, at: int, end: int, lines: int) -> int:
    newline = b"\r\n" if data.rfind(b"\r\n", at, end) >= 0 else b"\n"
    for _ in range(lines + 1):
        end = data.rfind(newline, at, end)
        if end < 0:
            break
    return end


def lasting(data: bytes) -> bytes:
    """Return the sequences of ``data`` with lasting effect: modes, margins, colours, erasures.

    An approximation, for output that arrives too fast to be interpreted.
    """
    return _latest(_LASTING.findall(data))


def _latest(sequences: list[bytes]) -> bytes:
    """Return the latest of each, in order; earlier ones have no effect any more."""
    latest = [*dict.fromkeys(reversed(sequences))][:_MOST_SEQUENCES]
    return b"".join(reversed(latest))
