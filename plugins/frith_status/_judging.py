"""From what is seen of a process to what it is doing: the stronger source wins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from frith.model import SessionStatus, Source
from frith.ports import Conclusion, Foreground, Reading
from frith_status._marks import Kind
from frith_status._rules import Rules
from frith_status._screen import Screen
from frith_status.options import StatusOptions

_LATER = 1.0
"""Seconds after which output overtakes a call, where input is not counted."""


@dataclass(frozen=True, slots=True)
class Told:
    """Something told, and how things were then."""

    kind: Kind
    conclusion: Conclusion
    at: float
    """When, on the clock of the event loop."""
    written: int | None
    """Bytes of input so far."""

    def overtaken(self, seen: Seen) -> bool:
        """Tell whether what is seen now shows that it holds no more."""
        at = seen.foreground
        reading = at.reading if at is not None else None
        answered = seen.last_output > self.at + _LATER
        if at is not None and at.written is not None and self.written is not None:
            answered = at.written > self.written and seen.last_output > self.at
        match self.kind:
            case Kind.CALL | Kind.BELL:
                return answered and reading is not Reading.ONLY
            case Kind.PROMPT:
                return answered and reading is Reading.NOT
            case Kind.PROGRESS:
                return reading is Reading.ONLY
            case _:
                return False


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a process at one moment."""

    now: float
    """On the clock of the event loop."""
    last_output: float
    """When it wrote last, on the same clock."""
    foreground: Foreground | None
    screen: Screen

    @property
    def silent(self) -> float:
        """Seconds since its last output."""
        return self.now - self.last_output


def judge(seen: Seen, told: Told | None, rules: Rules, options: StatusOptions) -> Conclusion:
    """Return what the process is doing."""
    sources: Iterable[Conclusion | None] = (
        told.conclusion if told is not None else None,
        _by_process(seen),
        _by_rule(seen, rules),
        _by_silence(seen, options),
    )
    return next(filter(None, sources), None) or _by_time(seen, options)


def _by_process(seen: Seen) -> Conclusion | None:
    at = seen.foreground
    if at is None:
        return None
    if at.reading is Reading.ONLY or (at.secret and at.reading is None):
        return Conclusion(SessionStatus.WAITING, Source.PROCESS, 0.9, seen.screen.question)
    return None


def _by_rule(seen: Seen, rules: Rules) -> Conclusion | None:
    programs = seen.foreground.programs if seen.foreground is not None else frozenset[str]()
    status = rules.status(programs, seen.screen.text)
    if status is None:
        return None
    question = seen.screen.question if status is SessionStatus.WAITING else None
    return Conclusion(status, Source.SCREEN, 0.8, question)


def _by_silence(seen: Seen, options: StatusOptions) -> Conclusion | None:
    if seen.silent < options.quiet:
        return None
    reading = seen.foreground.reading if seen.foreground is not None else None
    if reading is Reading.ALSO:
        # It would show that it works: programs that take keys meanwhile move something.
        return Conclusion(SessionStatus.WAITING, Source.PROCESS, 0.6, seen.screen.question)
    if reading is None and seen.screen.prompts:
        return Conclusion(SessionStatus.WAITING, Source.SCREEN, 0.5, seen.screen.question)
    return None


def _by_time(seen: Seen, options: StatusOptions) -> Conclusion:
    if seen.silent >= options.idle:
        return Conclusion(SessionStatus.IDLE, Source.TIME, 0.5)
    if seen.foreground is not None and seen.foreground.reading is Reading.NOT:
        return Conclusion(SessionStatus.ACTIVE, Source.PROCESS, 0.8)
    return Conclusion(SessionStatus.ACTIVE, Source.TIME, 0.5)
