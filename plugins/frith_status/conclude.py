"""Conclude what a process is doing from everything observed; the stronger source wins."""

from __future__ import annotations

from dataclasses import dataclass

from frith.model import SessionStatus, Source
from frith.ports import Conclusion, Foreground, Reading
from frith_status.last_lines import LastLines
from frith_status.marks import Kind
from frith_status.options import StatusOptions
from frith_status.rules import Rules

_ANSWERED_AFTER = 1.0
"""Seconds after which output shows that a call was answered, if input is not counted."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The observations of a process at one moment."""

    now: float
    """On the clock of the event loop."""
    last_output: float
    """When it last wrote output, on the same clock."""
    foreground: Foreground | None
    screen: LastLines

    @property
    def silent(self) -> float:
        """Seconds since its last output."""
        return self.now - self.last_output

    @property
    def reading(self) -> Reading | None:
        """How the foreground processes read input, if that is known."""
        return self.foreground.reading if self.foreground is not None else None


@dataclass(frozen=True, slots=True)
class Report:
    """A status that the process or another program has reported."""

    kind: Kind
    conclusion: Conclusion
    at: float
    """When it was reported, on the clock of the event loop."""
    written: int | None
    """Bytes of input at that time."""

    def is_outdated_by(self, later: Observation) -> bool:
        """Return whether ``later`` shows that the report no longer holds."""
        reading = later.reading
        answered = later.last_output > self.at + _ANSWERED_AFTER
        written = later.foreground.written if later.foreground is not None else None
        if written is not None and self.written is not None:
            answered = written > self.written and later.last_output > self.at
        match self.kind:
            case Kind.CALL | Kind.BELL:
                return answered and reading is not Reading.ONLY
            case Kind.PROMPT:
                return answered and reading is Reading.NOT
            case Kind.PROGRESS:
                return reading is Reading.ONLY
            case _:
                return False


def conclude(
    seen: Observation, report: Report | None, rules: Rules, options: StatusOptions
) -> Conclusion:
    """Return what the process is doing."""
    return (
        (report.conclusion if report is not None else None)
        or _by_process(seen)
        or _by_rule(seen, rules)
        or _by_silence(seen, options)
        or _by_time(seen, options)
    )


def _by_process(seen: Observation) -> Conclusion | None:
    hides_input = seen.foreground is not None and seen.foreground.secret
    if seen.reading is Reading.ONLY or (hides_input and seen.reading is None):
        return Conclusion(SessionStatus.WAITING, Source.PROCESS, 0.9, seen.screen.question)
    return None


def _by_rule(seen: Observation, rules: Rules) -> Conclusion | None:
    programs = seen.foreground.programs if seen.foreground is not None else frozenset[str]()
    status = rules.status(programs, seen.screen.text)
    if status is None:
        return None
    question = seen.screen.question if status is SessionStatus.WAITING else None
    return Conclusion(status, Source.SCREEN, 0.8, question)


def _by_silence(seen: Observation, options: StatusOptions) -> Conclusion | None:
    if seen.silent < options.quiet:
        return None
    if seen.reading is Reading.ALSO:
        # A working program that accepts keys shows a spinner or other output.
        return Conclusion(SessionStatus.WAITING, Source.PROCESS, 0.6, seen.screen.question)
    if seen.reading is None and seen.screen.prompts:
        return Conclusion(SessionStatus.WAITING, Source.SCREEN, 0.5, seen.screen.question)
    return None


def _by_time(seen: Observation, options: StatusOptions) -> Conclusion:
    if seen.silent >= options.idle:
        return Conclusion(SessionStatus.IDLE, Source.TIME, 0.5)
    if seen.reading is Reading.NOT:
        return Conclusion(SessionStatus.ACTIVE, Source.PROCESS, 0.8)
    return Conclusion(SessionStatus.ACTIVE, Source.TIME, 0.5)
