r"""Status marks in output: control sequences with which a program reports its status.

- ``BEL``: calls the user.
- ``OSC 9 ; TEXT`` (iTerm2) and ``OSC 777 ; notify ; TITLE ; TEXT`` (rxvt): a notification.
- ``OSC 9 ; 4 ; STATE ; PERCENT`` (ConEmu): progress; STATE is 0 none, 1 running, 2 failed,
  3 indeterminate, 4 paused.
- ``OSC 133 ; A`` to ``D`` (FinalTerm; 633 in VS Code): prompt starts, prompt ends, command starts,
  command ends.

An OSC is ``ESC ] … BEL`` or ``ESC ] … ESC \``; see ECMA-48 and xterm's ctlseqs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from frith.model import SessionStatus, Source
from frith.ports import Conclusion

_LONGEST = 4096
"""Bytes of the longest control string that is parsed."""
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
    """How a status was reported, which decides how long it holds."""

    STATED = auto()
    """By ``StatusWatch.tell``; holds until the next report."""
    CALL = auto()
    """A call to the user; holds until the user answers."""
    BELL = auto()
    """A call, if silence follows."""
    PROMPT = auto()
    """The prompt of a shell; holds until it runs a command."""
    PROGRESS = auto()
    """Holds until the progress ends."""
    END = auto()
    """Ends the report before it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One status mark."""

    kind: Kind
    conclusion: Conclusion | None = None
    end: int = 0
    """Offset of its end, in the data that was fed or in the whole output."""


class Marks:
    """Finds marks in output that arrives in chunks."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Mark]:
        """Return the marks that end in ``data``; of bells only the last."""
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

    def reset(self) -> None:
        """Forget an unfinished mark, because output was missed."""
        self._rest = b""


def _last_bell(data: bytes, strings: list[re.Match[bytes]]) -> int:
    """Return the offset of the last bell outside of ``strings``, -1 if there is none."""
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
        return Mark(Kind.END, None, end) if rest[:1] in ("C", "D") else None
    if command == "9" and rest.startswith("4;"):
        status = _PROGRESS.get(rest[2:3])
        if status is None:
            return Mark(Kind.END, None, end)
        return Mark(Kind.PROGRESS, Conclusion(status, Source.TOLD, 0.9), end)
    if command == "9" and not _SUBCOMMAND.match(rest):
        return Mark(Kind.CALL, _waiting(0.9, rest), end)
    if command == "777" and rest.startswith("notify;"):
        text = ": ".join(filter(None, rest.removeprefix("notify;").split(";", 1)))
        return Mark(Kind.CALL, _waiting(0.9, text), end)
    return None


def _waiting(confidence: float, message: str | None = None) -> Conclusion:
    return Conclusion(SessionStatus.WAITING, Source.TOLD, confidence, message or None)
