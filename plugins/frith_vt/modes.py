"""Modes that programs switch: how keys, the mouse and pasted text are sent, how text is written.

Source: "XTerm Control Sequences", "Functions using CSI ? Pm h"; the kitty keyboard protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ORIGIN, WRAP, CURSOR = 6, 7, 25
USUAL = frozenset({WRAP, CURSOR})
"""Modes that are on after a reset."""

_MOUSE = frozenset({9, 1000, 1002, 1003})
_MOUSE_FORMAT = frozenset({1005, 1006, 1015, 1016})
KNOWN = USUAL | _MOUSE | _MOUSE_FORMAT | {1, 5, ORIGIN, 12, 66, 1004, 1007, 2004, 2031}
_MOST_FLAGS = 16


@dataclass(slots=True)
class Modes:
    """The modes that are on."""

    on: set[int] = field(default_factory=lambda: set(USUAL))
    """Private modes, by number."""
    insert: bool = False
    keypad: bool = False
    """Whether the keypad sends application sequences."""
    other_keys: str = ""
    """The level of xterm's modifyOtherKeys."""
    cursor_shape: str = ""
    keyboard: list[str] = field(default_factory=list)
    """The stack of flags of the kitty keyboard protocol."""

    def switch(self, mode: int, on: bool) -> None:
        """Switch a private mode; of the ways to report the mouse one at most is on."""
        for group in (_MOUSE, _MOUSE_FORMAT):
            if mode in group:
                self.on -= group
        if mode in KNOWN and on:
            self.on.add(mode)
        elif mode in KNOWN:
            self.on.discard(mode)

    def soften(self) -> None:
        """Do what a soft reset (DECSTR) does."""
        self.on = (self.on - {1, ORIGIN}) | USUAL
        self.insert = self.keypad = False

    def take_keyboard(self, action: str, flags: str) -> None:
        """Push ``>``, pop ``<`` or set ``=`` flags of the kitty keyboard protocol."""
        first = flags.partition(";")[0]
        if action == ">":
            self.keyboard = [*self.keyboard, first][-_MOST_FLAGS:]
        elif action == "<":
            count = min(int(first or 1), len(self.keyboard))
            self.keyboard = self.keyboard[: len(self.keyboard) - count]
        else:
            self.keyboard[-1:] = [first]
