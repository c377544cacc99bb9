"""The modes that a program has changed in a terminal, and the sequences that restore them.

Sources: ECMA-48, the XTerm Control Sequences document, the kitty keyboard protocol,
console_codes(4) for Linux, ConEmu's documentation for the progress bar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from frith_cli.attach.tty import CANCEL

_ALTERNATE_SCREEN = frozenset({47, 1047, 1049})
_RESTORES_CURSOR = 1049
_WIDE, _ORIGIN = 3, 6
_CURSOR_KEYS = 1
# Key repeat, line wrap, cursor, wheel as arrow keys (only in some terminals; others ignore it).
_ON_BY_DEFAULT = frozenset({7, 8, 25, 1007})
_KNOWN = (
    _ON_BY_DEFAULT
    | _ALTERNATE_SCREEN
    | frozenset({1, _WIDE, 5, _ORIGIN, 12, 45, 66, 67, 69})  # keys, video, blinking, margins
    | frozenset({9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016})  # mouse and focus
    | frozenset({1042, 1043, 2004, 2026, 2027, 2031, 2048, 9001})  # bell, paste, updates, events
)
_SAFE = _KNOWN - _ALTERNATE_SCREEN - _ON_BY_DEFAULT - {_WIDE}
"""Switching one of these off that is off changes nothing."""
_ANSI = {2: False, 4: False, 12: True, 20: False}
"""The modes of ECMA-48 and their defaults: keyboard lock, insert, no echo, newline."""
_TAB = 8
_LONGEST = 256
"""How many bytes of an unfinished string are kept; more of them change nothing."""
_TO_THE_BOTTOM = b"\x1b[999;1H"

_PARTIAL = re.compile(
    rb"\x1b(?:\[[?<>=]?[0-9;:]{0,64}[ -/]?|[()*+\-./ %]|[\]PX^_k][^\x18\x1a\x1b\x07]*\x1b?)?\Z"
)
# Possessive (*+) because most sequences set colours, which must be skipped quickly.
_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[(?P<control>[?<>=][0-9;:]*+[@-~]|[0-9;]*+(?:[hlrgit]|[ \"]q|\$[}~]))"
    rb"|(?P<palette>\]P[0-9A-Fa-f]{7})"
    rb"|\](?P<command>[^\x07\x18\x1a\x1b]*)(?:\x07|\x1b\\)"
    rb"|[PX^_k][^\x18\x1a\x1b]*\x1b\\"
    rb"|(?P<slot>[()*+\-./])(?P<set>[ -/]?[0-~])"
    rb"|(?P<escape>[=>cHno|}~]| [FG]|%[@G])"
    rb")"
)
_SEQUENCE_OR_SHIFT = re.compile(_SEQUENCE.pattern + rb"|(?P<shift>[\x0e\x0f])")
_SHIFTS = (b"\x0e", b"\x0f")
_SLOTS = {b"-": b")", b".": b"*", b"/": b"+"}
"""The escapes that designate sets of 96 characters, and those for 94 in the same slot."""
_CONTROLS = {  # by control function: its default parameters, and what restores them
    b"?c": ((b"", b"0"), b"\x1b[?0c"),
    b" q": ((b"", b"0"), b"\x1b[0 q"),
    b'"q': ((b"", b"0", b"2"), b'\x1b[0"q'),
    b"$}": ((b"", b"0"), b"\x1b[0$}"),
    b"$~": ((b"", b"0"), b"\x1b[0$~"),
    b"r": ((b"", b";"), b"\x1b[r"),
}
_ESCAPES = {  # by sequence: what it changes, and what restores it (nothing if it does so itself)
    b"=": ("keypad", b"\x1b>"),
    b">": ("keypad", b""),
    b"n": ("shift", b"\x0f"),
    b"o": ("shift", b"\x0f"),
    b"~": ("right shift", b"\x1b}"),
    b"|": ("right shift", b"\x1b}"),
    b"}": ("right shift", b""),
    b" G": ("answers", b"\x1b F"),
    b" F": ("answers", b""),
    b"%@": ("encoding", b"\x1b%G"),
    b"%G": ("encoding", b""),
}
_MOVING = ("r", "tabs")
"""What cannot be restored without moving the cursor."""


class Modes:
    """Tracks what a stream of output changes in a terminal."""

    def __init__(self) -> None:
        self._partial = b""
        self._has_title = False
        self._forget()

    def _forget(self) -> None:
        self._switched: set[int] = set()
        self._keyboards: tuple[list[bytes], list[bytes]] = ([], [])
        """The stacks of kitty keyboard flags: of the main and of the alternate screen."""
        self._changed: dict[str, tuple[bytes, bytes]] = {}
        """By what was changed: the sequence that changed it, and the one that restores it."""
        self._titles = 0
        """How many titles the program has pushed."""

    def feed(self, output: bytes) -> None:
        """Track ``output``, which may begin and end within a sequence."""
        output = self._partial + output
        begun = _unfinished(output)
        # A long string is cut, but its last byte is kept: an ESC may begin the terminator.
        self._partial = begun if len(begun) <= _LONGEST else begun[:_LONGEST] + begun[-1:]
        shifts = any(shift in output for shift in _SHIFTS)
        for found in (_SEQUENCE_OR_SHIFT if shifts else _SEQUENCE).finditer(output):
            self._take(found)

    def _take(self, found: re.Match[bytes]) -> None:
        whole = found.group()
        if whole in _SHIFTS:
            self._change("shift", whole, b"\x0f" if whole == b"\x0e" else b"")
        elif control := found["control"]:
            function = control.translate(None, b"0123456789;:")
            self._take_control(function, control.translate(None, function), whole)
        elif found["command"]:
            self._take_command(found["command"], whole)
        elif found["slot"]:
            slot = _SLOTS.get(found["slot"], found["slot"])
            usual = (slot, found["set"]) == (found["slot"], b"B")
            self._change(f"set {slot!r}", whole, b"" if usual else b"\x1b" + slot + b"B")
        elif found["palette"]:
            self._change("palette", whole, b"\x1b]R\x1b\\")
        elif found["escape"] == b"c":
            self._forget()
        elif found["escape"] == b"H":
            self._change("tabs", b"", b"\x1b[3g")
        elif found["escape"]:
            key, back = _ESCAPES[found["escape"]]
            self._change(key, whole, back)

    def _change(self, key: str, how: bytes, back: bytes) -> None:
        """Record a change; without ``back``, what was changed has its default again."""
        self._changed.pop(key, None)
        if back:
            self._changed[key] = how, back

    def _take_control(self, function: bytes, values: bytes, whole: bytes) -> None:
        numbers = [int(value) for value in re.split(rb"[;:]", values) if value]
        first, *others = numbers or [0]
        on = function.endswith(b"h")
        match function:
            case b"?h" | b"?l":
                self._switch(set(numbers) & _KNOWN, on=on)
            case b"?r":  # restores saved values, which are unknown
                self._switched |= set(numbers) & _SAFE
            case b"h" | b"l":
                for mode in _ANSI.keys() & numbers:
                    back = b"\x1b[%d%b" % (mode, b"l" if on else b"h")
                    self._change(f"mode {mode}", whole, b"" if on == _ANSI[mode] else back)
            case b"g" | b"?W":
                self._change("tabs", b"", b"\x1b[3g")
            case b"i" | b"?i" if first in (4, 5):
                back = b"\x1b[%b4i" % function[:-1]
                self._change(function.decode(), whole, back if first == 5 else b"")
            case b"t" if first in (22, 23) and others[:1] != [1]:
                self._titles = max(0, self._titles + (1 if first == 22 else -1))
            case b">m" if numbers:
                back = b"\x1b[>%dm" % first if any(others) else b""
                self._change(f"keys {first}", whole, back)
            case b">u":
                self._keyboard.append(values)
            case b"<u":
                del self._keyboard[max(0, len(self._keyboard) - (first or 1)) :]
            case b"=u" if not self._keyboard:
                on_main = self._keyboard is self._keyboards[0]
                self._change(f"flags {on_main}", whole, b"\x1b[=0u" if first else b"")
            case _ if function in _CONTROLS:
                usual, back = _CONTROLS[function]
                self._change(function.decode(), whole, b"" if values in usual else back)

    def _switch(self, modes: set[int], *, on: bool) -> None:
        switched = {mode for mode in modes if on != (mode in _ON_BY_DEFAULT)}
        self._switched = self._switched - modes | switched

    @property
    def _keyboard(self) -> list[bytes]:
        return self._keyboards[bool(self._switched & _ALTERNATE_SCREEN)]

    def _take_command(self, command: bytes, whole: bytes) -> None:
        code, _, rest = command.partition(b";")
        number = int(code) if code.isdigit() else -1
        parts = rest.split(b";")
        if number in (4, 5):
            for index, colour in zip(parts[::2], parts[1::2], strict=False):
                if colour != b"?":
                    how = b"\x1b]%b;%b;%b\x07" % (code, index, colour)
                    back = b"\x1b]10%b;%b\x07" % (code, index)
                    self._change(f"colour {number} {index!r}", how, back)
        elif number in (104, 105):
            for key in [key for key in self._changed if key.startswith(f"colour {number - 100} ")]:
                if not rest or key.endswith(tuple(f" {index!r}" for index in parts)):
                    del self._changed[key]
        elif 10 <= number <= 19:
            for each, colour in enumerate(parts, number):
                if colour not in (b"", b"?"):
                    how = b"\x1b]%d;%b\x07" % (each, colour)
                    self._change(f"dynamic {each}", how, b"\x1b]%d\x07" % (100 + each))
        elif 110 <= number <= 119:
            self._changed.pop(f"dynamic {number - 100}", None)
        elif number == 8:
            self._change("link", whole, b"\x1b]8;;\x07" if rest.partition(b";")[2] else b"")
        elif number == 9 and parts[0] == b"4":
            shown = parts[1:2] not in ([], [b""], [b"0"])
            self._change("progress", whole, b"\x1b]9;4;0\x07" if shown else b"")
        elif number == 22:
            self._change("pointer", whole, b"\x1b]22;\x07" if rest else b"")

    @property
    def application_cursor_keys(self) -> bool:
        """Whether the program has switched on application cursor keys (DECCKM)."""
        return _CURSOR_KEYS in self._switched

    def begin(self) -> bytes:
        """Return what saves the title of the terminal; :meth:`leave` restores it."""
        self._has_title = True
        return b"\x1b[22;0t"

    def leave(self, columns: int = 0) -> bytes:
        """Return what restores a terminal with ``columns``; without them, not its tab stops.

        Where that moves the cursor, text that follows is shown at the bottom.
        """
        titles = b"\x1b[23;0t" * (self._titles + 1) if self._has_title else b""
        return b"".join(self._restored(columns)) + titles + b"\x1b[0m"

    def clear(self) -> bytes:
        """Return what restores all but the title and the tab stops, and track from there.

        The screen, tab stops included, is redrawn next.
        """
        out = b"".join(self._restored(0)) + b"\x1b[0m"
        titles = self._titles
        self._forget()
        self._partial, self._titles = b"", titles
        return out

    def _restored(self, columns: int) -> Iterator[bytes]:
        if self._partial:
            yield CANCEL
        in_alternate = bool(self._switched & _ALTERNATE_SCREEN)
        if in_alternate:
            yield from self._keyboard_back(in_alternate)
        yield from self._private(back=True)
        yield from self._keyboard_back(False)
        moving = [back for key, (_, back) in self._changed.items() if key in _MOVING]
        if columns and "tabs" in self._changed:
            stops = range(_TAB + 1, columns + 1, _TAB)
            moving += [b"\x1b[%dG\x1bH" % stop for stop in stops]
        goes_home = self._switched & {_WIDE, _ORIGIN, *_ALTERNATE_SCREEN} - {_RESTORES_CURSOR}
        if goes_home:
            yield from (*moving, _TO_THE_BOTTOM)
        elif moving:
            yield from (b"\x1b7", *moving, b"\x1b8")
        # After the cursor, because restoring it (DECRC) restores character sets too.
        for key, (_, back) in self._changed.items():
            if key not in _MOVING and not key.startswith("flags"):
                yield back

    def _keyboard_back(self, in_alternate: bool) -> Iterator[bytes]:
        if stack := self._keyboards[in_alternate]:
            yield b"\x1b[<%du" % len(stack)
        yield self._changed.get(f"flags {not in_alternate}", (b"", b""))[1]

    def enter(self) -> bytes:
        """Return what makes all the changes again in a terminal that was restored."""
        main, alternate = ([b"\x1b[>%bu" % flags for flags in each] for each in self._keyboards)
        changed = [how for how, _ in self._changed.values()]
        return b"".join((*main, *self._private(back=False), *alternate, *changed))

    def _private(self, *, back: bool) -> list[bytes]:
        last = sorted(self._switched, key=lambda mode: ((mode in _ALTERNATE_SCREEN) == back, mode))
        return [
            b"\x1b[?%d%b" % (mode, b"h" if (mode in _ON_BY_DEFAULT) == back else b"l")
            for mode in last
        ]


def _unfinished(output: bytes) -> bytes:
    last = output.rfind(b"\x1b")
    before = output.rfind(b"\x1b", 0, last) if last == len(output) - 1 else -1
    for at in (before, last):  # the last may be the first half of a string terminator
        if at >= 0 and (found := _PARTIAL.match(output, at)):
            return found.group()
    return b""
