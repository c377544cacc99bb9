"""Queries: sequences by which a program asks its terminal for an answer.

Sources: "XTerm Control Sequences"; the kitty keyboard and graphics protocols.
"""

from __future__ import annotations

import re

LONGEST = 1024
"""Bytes of a query at most; what is longer is not taken for one."""

_QUERY = re.compile(
    rb"\x1b"
    rb"(?!\[(?:[0-9]*+[^0-9c>=?n$t]|\?[0-9;]*+[hl]))"  # passes most sequences, quickly in floods
    rb"(?:"
    rb"\[(?:"
    rb"[>=]?0*+c"  # device attributes
    rb"|[56]n"  # device status, position of the cursor
    rb"|>0*+q"  # XTVERSION
    rb"|\?(?:u|[0-9;]++(?:n|m|\$p))"  # kitty keyboard; DEC status, XTQMODKEYS, DECRQM
    rb"|[0-9]++\$p"  # DECRQM of ANSI modes
    rb"|(?:1[134568]|19|2[01])t"  # sizes, place and titles of the window
    rb")"
    rb"|\](?:1[0-9](?:;\?)++|[45](?:;[0-9]++;\?)++|52;[a-z0-9]{0,16};\?)"  # colours, clipboard
    rb"(?:\x07|\x1b\\)"
    rb"|P[$+]q[ -~]{0,%d}\x1b\\"  # DECRQSS, XTGETTCAP
    rb"|_G(?:[^;\x1b]{0,256},)?a=q[,;][^\x1b]{0,%d}\x1b\\"  # kitty graphics
    rb")" % (LONGEST - 8, LONGEST - 512)
)
_UNFINISHED = re.compile(
    rb"\x1b(?:"
    rb"\[(?:[>=]?[0-9;]{0,64}|\?[0-9;]{0,64})\$?"
    rb"|\](?:(?:[0-9][0-9;?]{0,256}|52;[a-z0-9]{0,16}(?:;\??)?)\x1b?)?"
    rb"|P(?:[$+](?:q[ -~]{0,%d}\x1b?)?)?"
    rb"|_(?:G[^\x1b]{0,%d}\x1b?)?"
    rb")?\Z" % (LONGEST, LONGEST)
)


def find(data: bytes) -> tuple[list[tuple[int, int]], int]:
    """Find the queries in ``data``.

    Returns:
        Where each begins and ends, and where an unfinished sequence begins that may become one.
    """
    found = [query.span() for query in _QUERY.finditer(data)]
    return found, _begin_of_unfinished(data)


def _begin_of_unfinished(data: bytes) -> int:
    last = data.rfind(b"\x1b", max(0, len(data) - LONGEST))
    # A last ESC may be the first half of a string terminator.
    before = data.rfind(b"\x1b", 0, last) if last == len(data) - 1 else -1
    for at in (before, last):
        if at >= 0 and len(data) - at < LONGEST and _UNFINISHED.match(data, at):
            return at
    return len(data)


def without_effect(length: int) -> bytes:
    """Return a sequence of ``length`` bytes that no terminal shows or answers.

    It is a device status report that asks for nothing.
    """
    return b"\x1b[%bn" % (b"0" * (length - 3))
