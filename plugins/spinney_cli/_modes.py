"""The modes that a program has left a terminal in, and how to leave them.

Sources: ECMA-48, the XTerm Control Sequences document, the kitty keyboard protocol.
"""

from __future__ import annotations

import re

_ALTERNATE_SCREEN = frozenset({47, 1047, 1049})
_CURSOR_KEYS = 1
_ON_BY_DEFAULT = frozenset({7, 25})  # line wrap, cursor
_KNOWN = (
    _ON_BY_DEFAULT
    | _ALTERNATE_SCREEN
    | frozenset({1, 5, 6, 9, 66, 2004, 2026, 2031})  # keys, video, origin, paste, updates, theme
    | frozenset({1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016})  # mouse and focus
)
_SAFE = _KNOWN - _ALTERNATE_SCREEN - _ON_BY_DEFAULT  # leaving one that is off does nothing
_PARTIAL = re.compile(rb"\x1b(?:\[[?<>=]?[0-9;:]{0,64})?\Z")
_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[\?(?P<modes>[0-9;]+)(?P<on>[hl])"
    rb"|\[(?P<keyboard>[<>=])(?P<flags>[0-9;]*)u"
    rb"|\[>4(?:;(?P<level>[0-9]*))?m"
    rb"|(?P<keypad>[=>])"
    rb"|(?P<reset>c)"
    rb")"
)


class Modes:
    """Follows the modes that a stream of output switches."""

    def __init__(self) -> None:
        self._forget()
        self._partial = b""

    def _forget(self) -> None:
        self._switched: set[int] = set()
        self._keyboard: list[bytes] = []
        self._other_keys = b""
        self._keypad = False

    def feed(self, output: bytes) -> None:
        """Take note of ``output``, which may begin and end within a sequence."""
        output = self._partial + output
        partial = _PARTIAL.search(output)
        self._partial = partial.group() if partial else b""
        for found in _SEQUENCE.finditer(output):
            self._take(found)

    def _take(self, found: re.Match[bytes]) -> None:
        match found.lastgroup:
            case "on":
                on = found["on"] == b"h"
                modes = {int(mode) for mode in found["modes"].split(b";") if mode} & _KNOWN
                switched = {mode for mode in modes if on != (mode in _ON_BY_DEFAULT)}
                self._switched = self._switched - modes | switched
            case "flags":
                self._take_keyboard(found["keyboard"], found["flags"])
            case "keypad":
                self._keypad = found["keypad"] == b"="
            case "reset":
                self._forget()
            case _:
                self._other_keys = found["level"] or b""

    def _take_keyboard(self, action: bytes, flags: bytes) -> None:
        if action == b">":
            self._keyboard.append(flags)
        elif action == b"<":
            count = int(flags) if flags.isdigit() else 1
            del self._keyboard[max(0, len(self._keyboard) - count) :]

    @property
    def application_cursor_keys(self) -> bool:
        """Whether the arrow keys are to send what programs, not lines of text, expect."""
        return _CURSOR_KEYS in self._switched

    def doubt(self) -> None:
        """Take note that some output was missed: what can safely be left will be."""
        self._partial = b""
        self._switched |= _SAFE

    def leave(self) -> bytes:
        """Return what puts a terminal in these modes back into the usual ones."""
        out = b"\x1b[<%du" % len(self._keyboard) if self._keyboard else b""
        out += b"\x1b[>4m" if self._other_keys else b""
        out += b"\x1b>" if self._keypad else b""
        return out + b"".join(self._private(back=True)) + b"\x1b[0m"

    def enter(self) -> bytes:
        """Return what puts a terminal in the usual modes into these."""
        out = b"".join(self._private(back=False))
        out += b"\x1b=" if self._keypad else b""
        out += b"\x1b[>4;%bm" % self._other_keys if self._other_keys else b""
        return out + b"".join(b"\x1b[>%bu" % flags for flags in self._keyboard)

    def _private(self, *, back: bool) -> list[bytes]:
        last = sorted(self._switched, key=lambda mode: ((mode in _ALTERNATE_SCREEN) == back, mode))
        return [
            b"\x1b[?%d%b" % (mode, b"h" if (mode in _ON_BY_DEFAULT) == back else b"l")
            for mode in last
        ]
