"""Keys: what an xterm sends for their tmux names, and the detach key within input.

Sources: tmux(1) for the names, XTerm Control Sequences for what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from enum import Enum, auto

from frith.logs import printable

_PLAIN = {"Enter": "\r", "Escape": "\x1b", "Tab": "\t", "Space": " ", "BSpace": "\x7f"}
_BACK_TAB = "BTab"
_CURSOR = {"Up": "A", "Down": "B", "Right": "C", "Left": "D", "Home": "H", "End": "F"}
_FUNCTION = {"F1": "P", "F2": "Q", "F3": "R", "F4": "S"}
_NUMBERED = {"IC": 2, "Insert": 2, "DC": 3, "Delete": 3, "PPage": 5, "PageUp": 5, "PgUp": 5}
_NUMBERED |= {"NPage": 6, "PageDown": 6, "PgDn": 6}
_NUMBERED |= {
    f"F{key}": code
    for key, code in zip(range(5, 13), (15, 17, 18, 19, 20, 21, 23, 24), strict=True)
}

NAMES = (*_PLAIN, _BACK_TAB, *_CURSOR, *_NUMBERED, *_FUNCTION)
"""The keys with names; every other key is named by its character."""

_BY_NAME = {name.lower(): name for name in NAMES}
_KEY = re.compile(r"(?P<modifiers>(?:[CMS]-)*)(?P<caret>\^?)(?P<key>.+)", re.DOTALL)
_CONTROL = {"Space": "\0", "?": "\x7f"}
_CONTROL |= {chr(code): chr(code & 0x1F) for code in (*range(0x40, 0x60), *range(0x61, 0x7B))}
_SHIFT, _META, _CTRL = 1, 2, 4
_MODIFIERS = {"S": _SHIFT, "M": _META, "C": _CTRL}


class UnknownKeyError(ValueError):
    """A terminal sends nothing for a key of this name."""

    def __init__(self, name: str) -> None:
        near = get_close_matches(name.rpartition("-")[2].title(), NAMES, 1)
        hint = f"Did you mean {near[0]!r}?" if near else "Keys are named as in tmux: Enter, C-c."
        super().__init__(f"{name!r} is not a key. {hint}")


def sent_for(name: str, *, application: bool = False) -> bytes:
    """Return what a terminal sends for the key ``name``: ``Enter``, ``C-c``, ``M-Up``, ``x``.

    Args:
        name: the name, after ``C-``, ``M-``, ``S-`` or ``^`` for the modifiers.
        application: whether the program has switched on application cursor keys (DECCKM).

    Raises:
        UnknownKeyError: there is no such key, or it cannot have these modifiers.
    """
    found = _KEY.fullmatch(name)
    if found is None:
        raise UnknownKeyError(name)
    held = {_MODIFIERS[letter] for letter in found["modifiers"].replace("-", "")}
    if found["caret"]:
        held.add(_CTRL)
    key = _BY_NAME.get(found["key"].lower(), found["key"])
    sent = _sequence(key, sum(held), application=application) or _text(key, held)
    if sent is None:
        raise UnknownKeyError(name)
    return sent.encode("utf-8", "surrogateescape")


def _sequence(key: str, held: int, *, application: bool) -> str | None:
    """Return what is sent for a key that types no text."""
    if key in _NUMBERED:
        return f"\x1b[{_NUMBERED[key]};{held + 1}~" if held else f"\x1b[{_NUMBERED[key]}~"
    final = _CURSOR.get(key) or _FUNCTION.get(key)
    if final is None:
        return None
    if held:
        return f"\x1b[1;{held + 1}{final}"
    return f"\x1bO{final}" if application or key in _FUNCTION else f"\x1b[{final}"


def _text(key: str, held: set[int]) -> str | None:
    """Return what is sent for a key that types text; ``None`` if there is no such key."""
    meta = "\x1b" if _META in held else ""
    others = held - {_META}
    if key == _BACK_TAB or (key == "Tab" and others == {_SHIFT}):
        return f"{meta}\x1b[Z" if others <= {_SHIFT} else None
    character: str | None = _PLAIN.get(key, key)
    if others == {_CTRL}:
        character = _CONTROL.get(key)
    elif others or len(key) > 1 and key not in _PLAIN:
        return None
    return meta + character if character else None


def key_name(key: bytes) -> str:
    """Return the name of ``key`` for the user: ``Ctrl-]`` for byte 29."""
    if len(key) == 1 and key < b" ":
        return f"Ctrl-{chr(key[0] | 0x40)}"
    return printable(key.decode("utf-8", "replace"))


class Press(Enum):
    """The effect of pressing the detach key."""

    ASK = auto()
    DETACH = auto()


class DetachKey:
    """Finds the detach key in what is typed.

    With ``asks``, only the second of two presses detaches, with no other key between them.
    """

    def __init__(self, key: bytes, *, asks: bool) -> None:
        code = ord(chr(key[0] | 0x40).lower()) if len(key) == 1 and key < b" " else 0
        # Programs can switch a terminal to the kitty protocol or to xterm's modifyOtherKeys.
        self._key = re.compile(
            rb"%b|\x1b\[%d;5(?::[12])?u|\x1b\[27;5;%d~|(?P<released>\x1b\[%d;5:3u)"
            % (re.escape(key), code, code, code)
        )
        self._asks = asks
        self._asked = False

    def feed(self, typed: bytes) -> Iterator[bytes | Press]:
        """Yield the input to pass on, and for each press of the key what to do."""
        start = 0
        for found in self._key.finditer(typed):
            yield from self._others(typed[start : found.start()])
            start = found.end()
            if found["released"] is None:
                yield Press.ASK if self._asks and not self._asked else Press.DETACH
                self._asked = True
        yield from self._others(typed[start:])

    def _others(self, typed: bytes) -> Iterator[bytes]:
        if typed:
            self._asked = False
            yield typed
