"""The emulator's answers to queries, for a program that no viewer's terminal answers.

They are those of a VT220 with colours, without images, on a dark background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from frith_vt.modes import KNOWN, ORIGIN

if TYPE_CHECKING:
    from frith_vt.emulator import Emulator

_FOREGROUND, _BACKGROUND = b"rgb:d0d0/d0d0/d0d0", b"rgb:0000/0000/0000"
_COLOURS = {10: _FOREGROUND, 11: _BACKGROUND, 12: _FOREGROUND}
"""By the number of the OSC: text, background, cursor. Most terminals that agents run in are dark,
and a program can only be told one."""
_DARK = b"\x1b[?997;1n"
_UNKNOWN, _ON, _OFF = 0, 1, 2
_ALTERNATE_SCREEN = (47, 1047, 1049)
_INSERT = 4
_OTHER_KEYS = b"4"


def fixed_answer(query: bytes) -> bytes | None:
    """Return the answer that does not depend on earlier output, ``None`` if it does.

    It is empty if a terminal like this does not answer.
    """
    kind, body = query[1:2], query[2:]
    if kind == b"]":
        return _colours(body)
    if kind == b"P":
        return b"\x1bP0%br\x1b\\" % body[:1]  # "invalid", which is also a valid answer to all
    if kind == b"_":
        return b""
    match body.replace(b"0", b""):
        case b"c":
            return b"\x1b[?62;22c"
        case b">c":
            return b"\x1b[>1;0;0c"
        case b"=c":
            return b"\x1bP!|00000000\x1b\\"
        case b">q":
            return b"\x1bP>|frith\x1b\\"
        case b"5n":
            return b"\x1b[0n"
        case b"?996n":
            return _DARK
    return None


def answer_from(emulator: Emulator, query: bytes) -> bytes:
    """Return the answer that depends on the state of ``emulator``; empty if there is none."""
    body = query[2:].decode("ascii")
    parameters = body.strip("?$pnmut")
    row, column = emulator.row + 1, emulator.place + 1
    if ORIGIN in emulator.modes.on:
        row -= emulator.top
    match body.replace(parameters, "", 1) if parameters else body:
        case "n" if parameters == "6":
            return b"\x1b[%d;%dR" % (row, column)
        case "?n" if parameters == "6":
            return b"\x1b[?%d;%dR" % (row, column)
        case "?$p":
            return b"\x1b[?%b;%d$y" % (parameters.encode(), _private_mode(emulator, parameters))
        case "$p":
            mode = _UNKNOWN
            if parameters == str(_INSERT):
                mode = _ON if emulator.modes.insert else _OFF
            return b"\x1b[%b;%d$y" % (parameters.encode(), mode)
        case "?u":
            flags = emulator.modes.keyboard[-1] if emulator.modes.keyboard else ""
            return b"\x1b[?%bu" % (flags or "0").encode()
        case "?m" if parameters == _OTHER_KEYS.decode():
            return b"\x1b[>4;%bm" % (emulator.modes.other_keys or "0").encode()
        case "t" if parameters == "18":
            return b"\x1b[8;%d;%dt" % (emulator.rows, emulator.columns)
    return b""


def _private_mode(emulator: Emulator, parameters: str) -> int:
    mode = int(parameters) if parameters.isdecimal() and len(parameters) < 6 else -1
    if mode in _ALTERNATE_SCREEN:
        return _ON if emulator.main else _OFF
    if mode in KNOWN:
        return _ON if mode in emulator.modes.on else _OFF
    return _UNKNOWN


def _colours(body: bytes) -> bytes:
    end = b"\x07" if body.endswith(b"\x07") else b"\x1b\\"
    number, *asked = body.removesuffix(end).split(b";")
    return b"".join(
        b"\x1b]%d;%b%b" % (each, _COLOURS[each], end)
        for each in range(int(number), int(number) + len(asked))
        if each in _COLOURS
    )
