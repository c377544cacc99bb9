r"""What a program says of itself in its output: control sequences that terminals act upon.

- ``BEL``: the user is called.
- ``OSC 9 ; TEXT`` (iTerm2) and ``OSC 777 ; notify ; TITLE ; TEXT`` (rxvt): a notification.
- ``OSC 9 ; 4 ; STATE ; PERCENT`` (ConEmu): progress; STATE is 0 none, 1 some, 2 failed, 3 unknown,
  4 paused.
- ``OSC 133 ; A`` to ``D`` (FinalTerm; 633 in VS Code): prompt begins, prompt ends, command runs,
  command has ended.

An OSC is ``ESC ] … BEL`` or ``ESC ] … ESC \``; see ECMA-48 and xterm's ctlseqs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from frith.model import SessionStatus, Source
from frith.ports import Conclusion

_LONGEST = 4096
"""Bytes of a control string that are looked at; a longer one is none of ours."""
_OSC = re.compile(rb"\x1b\]([^\x00-\x1f]{0,%d})(?:\x07|\x1b\\)" % _LONGEST)
_UNFINISHED = re.compile(rb"\x1b(?:\][^\x00-\x1f]{0,%d}\x1b?)?\Z" % _LONGEST)
_SUBCOMMAND = re.compile(r"\d+(?:;|\Z)")
_PROGRESS = {
    "1": SessionStatus.ACTIVE,
    "2": SessionStatus.ERROR,
    "3": SessionStatus.ACTIVE,
    "4": SessionStatus.WAITING,
}


class Kind(Enum):
    """How something was told, which decides what overtakes it."""

    SAID = auto()
    """Somebody said it outright."""
    CALL = auto()
    """The user is called; until the user answers."""
    BELL = auto()
    """The same, if silence follows."""
    PROMPT = auto()
    """A shell shows its prompt; until it runs a command."""
    PROGRESS = auto()
    """Until the progress is over."""
    OVER = auto()
    """What was told before holds no more."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing told."""

    kind: Kind
    conclusion: Conclusion | None = None
    end: int = 0
    """Where it ends, in what was fed or in the whole output."""


class Marks:
    """Finds marks in output that comes in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Mark]:
        """Return the marks that end in ``data``, of bells only the last."""
        if not self._rest and b"\x07" not in data and b"\x1b" not in data:
            return []
        before = len(self._rest)
        if before:
            data = self._rest + data
        strings = list(_OSC.finditer(data)) if b"\x1b]" in data else []
        found = [m for each in strings if (m := _mark(each[1], each.end() - before))]
        bell = _last_bell(data, strings)
        if bell >= 0:
            found.append(Mark(Kind.BELL, _waiting(0.6), bell + 1 - before))
            found.sort(key=lambda mark: mark.end)
        end = strings[-1].end() if strings else 0
        self._rest = b""
        tail = max(end, len(data) - _LONGEST - 3)
        if data.find(b"\x1b", tail) >= 0 and (unfinished := _UNFINISHED.search(data, tail)):
            self._rest = unfinished[0]
        return found

    def lost(self) -> None:
        """Forget what came last: output was missed."""
        self._rest = b""


def _last_bell(data: bytes, strings: list[re.Match[bytes]]) -> int:
    """Return where the last bell is that ends no string, -1 if there is none."""
    end = len(data)
    for string in reversed(strings):
        if (bell := data.rfind(b"\x07", string.end(), end)) >= 0:
            return bell
        end = string.start()
    return data.rfind(b"\x07", 0, end)


def _mark(osc: bytes, end: int) -> Mark | None:
    command, _, rest = osc.decode(errors="replace").partition(";")
    if command in ("133", "633"):
        if rest[:1] in ("A", "B"):
            return Mark(Kind.PROMPT, _waiting(0.9), end)
        return Mark(Kind.OVER, None, end) if rest[:1] in ("C", "D") else None
    if command == "9" and rest.startswith("4;"):
        status = _PROGRESS.get(rest[2:3])
        if status is None:
            return Mark(Kind.OVER, None, end)
        return Mark(Kind.PROGRESS, Conclusion(status, Source.TOLD, 0.9), end)
    if command == "9" and not _SUBCOMMAND.match(rest):
        return Mark(Kind.CALL, _waiting(0.9, rest), end)
    if command == "777" and rest.startswith("notify;"):
        text = ": ".join(filter(None, rest.removeprefix("notify;").split(";", 1)))
        return Mark(Kind.CALL, _waiting(0.9, text), end)
    return None


def _waiting(confidence: float, message: str | None = None) -> Conclusion:
    return Conclusion(SessionStatus.WAITING, Source.TOLD, confidence, message or None)
