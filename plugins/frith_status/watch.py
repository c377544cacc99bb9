"""The watch over one process: when to determine its status, and whether it has changed.

Nothing is polled. Output, a report, and the next threshold of silence each cause one check. While
a process waits for the user, no timer runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from math import inf
from sys import maxsize

from anyio import Event, current_time, move_on_after, sleep

from frith.model import SessionStatus, Source
from frith.ports import (
    Attachment,
    AttachMode,
    Chunk,
    Conclusion,
    Foreground,
    Reading,
    StatusWatch,
    Stuck,
    Terminal,
)
from frith_status.conclude import Observation, Report, conclude
from frith_status.last_lines import LENGTH, LastLines
from frith_status.marks import Kind, Mark, Marks
from frith_status.options import StatusOptions
from frith_status.rules import Rules

_SOON = 1.0
"""Seconds of output after which a process that was not active is checked even without silence."""
_SECOND_LOOK = 0.05
_BELL_SETTLE = 0.1
_BELL_NOISE = 512
"""Bytes that may follow a bell within that time. After more, the bell was not a call."""
_PACE = 0.05
_PACE_BYTES = 512 * 1024
_PACE_CHUNKS = 8
"""Limits of what is read in ``_PACE`` seconds, so that a flood costs little; the rest is missed."""


class Watch(StatusWatch):
    """Watches one terminal; one task iterates it."""

    def __init__(self, terminal: Terminal, options: StatusOptions, rules: Rules) -> None:
        self._terminal = terminal
        self._options = options
        self._rules = rules
        self._marks = Marks()
        self._news = Event()
        self._reported: list[Mark] = []
        self._report: Report | None = None
        self._bell: float | None = None
        self._bell_end = 0
        self._after_bell = 0
        self._last_output = self._checked = current_time()
        self._fresh: float | None = self._last_output
        """When the first output since the last check arrived; ``None`` without such output."""
        self._end = 0
        self._ended = False
        self._concluded = Conclusion(SessionStatus.ACTIVE, Source.PROCESS)
        self._warn_after = options.stuck

    def tell(self, conclusion: Conclusion) -> None:
        """Accept a report; see ``StatusWatch.tell``."""
        asks = conclusion.status is SessionStatus.WAITING
        self._reported.append(Mark(Kind.CALL if asks else Kind.STATED, conclusion, maxsize))
        self._news.set()

    async def follow(self, attachment: Attachment) -> None:
        """Read the output until the terminal is drained."""
        self._end = attachment.offset + len(attachment.snapshot)
        self._take(attachment.snapshot)
        began, size, chunks = current_time(), 0, 0
        async for item in attachment:
            if isinstance(item, Chunk):
                self._end = item.offset + len(item.data)
                self._take(item.data)
                size += len(item.data)
            else:
                self._marks.reset()
            chunks += 1
            if current_time() - began > _PACE:
                began, size, chunks = current_time(), 0, 0
            elif size > _PACE_BYTES or chunks > _PACE_CHUNKS:
                await sleep(_PACE)
        self._ended = True
        self._news.set()

    def _take(self, data: bytes) -> None:
        if not data:
            return
        self._last_output = current_time()
        self._warn_after = self._options.stuck
        self._after_bell += len(data)
        for mark in self._marks.feed(data):
            end = self._end - len(data) + mark.end
            if mark.kind is Kind.BELL:
                self._bell, self._after_bell = self._last_output, len(data) - mark.end
                self._bell_end = end
            else:
                self._reported.append(replace(mark, end=end))
                self._bell = None  # the mark has more detail than the bell
        if self._fresh is None:
            self._fresh = self._last_output
            self._news.set()
        if self._reported or self._bell is not None:
            self._news.set()

    async def __aiter__(self) -> AsyncIterator[Conclusion | Stuck]:
        """Yield each new conclusion, and warnings."""
        while not self._ended:
            due = self._due()
            with move_on_after(max(0.0, due - current_time()) if due < inf else None):
                await self._news.wait()
            self._news = Event()
            if self._ended:
                return
            if self._reported or self._due() <= current_time():
                conclusion = await self._check()
                if _is_new(conclusion, self._concluded):
                    self._concluded = conclusion
                    yield conclusion
            silent = current_time() - self._last_output
            if self._may_be_stuck and silent >= self._warn_after:
                self._warn_after += self._options.remind
                yield Stuck(silent)

    @property
    def _is_waiting(self) -> bool:
        return self._concluded.status is SessionStatus.WAITING

    @property
    def _may_be_stuck(self) -> bool:
        concluded = self._concluded
        at_rest = concluded.source is Source.TOLD and concluded.status is not SessionStatus.ACTIVE
        return not self._is_waiting and not at_rest

    def _due(self) -> float:
        """Return when to check next without an event; infinity for never."""
        options, moments = self._options, [inf]
        if self._bell is not None:
            moments.append(self._bell + _BELL_SETTLE)
        if self._fresh is not None:
            moments.append(self._last_output + options.settle)
            if self._concluded.status is not SessionStatus.ACTIVE:
                moments.append(self._fresh + _SOON)
        elif not self._is_waiting:
            silences = (options.quiet, options.idle)
            moments += [m for s in silences if (m := self._last_output + s) > self._checked]
            if self._may_be_stuck:
                moments.append(self._last_output + self._warn_after)
        return min(moments)

    async def _check(self) -> Conclusion:
        foreground = await self._foreground()
        self._checked = current_time()
        settled = self._checked >= self._last_output + self._options.settle
        self._fresh = None if settled else self._checked
        bell = self._call_by_bell()
        for mark in [*self._reported, *([bell] if bell is not None else [])]:
            self._report = self._report_of(mark, foreground)
        self._reported.clear()
        seen = Observation(self._checked, self._last_output, foreground, await self._last_lines())
        if self._report is not None and self._report.is_outdated_by(seen):
            self._report = None
        return conclude(seen, self._report, self._rules, self._options)

    async def _foreground(self) -> Foreground | None:
        foreground = await self._terminal.foreground()
        silent = current_time() - self._last_output >= self._options.quiet
        if silent and foreground is not None and foreground.reading is Reading.NOT:
            # A program that waits with a timeout runs for a moment after each, and on a busy
            # machine for longer. No other look may follow for minutes.
            await sleep(_SECOND_LOOK)
            foreground = await self._terminal.foreground()
        return foreground

    def _report_of(self, mark: Mark, foreground: Foreground | None) -> Report | None:
        """Return the report of a mark, dated before input that came after the mark."""
        if mark.conclusion is None:
            return None
        if foreground is None or foreground.written is None:
            return Report(mark.kind, mark.conclusion, self._checked, None)
        written, written_at = foreground.written, foreground.written_at
        if written_at is None or written_at < mark.end:
            return Report(mark.kind, mark.conclusion, self._checked, written)
        at = -inf if self._end > written_at else self._checked
        return Report(mark.kind, mark.conclusion, at, written - 1)

    def _call_by_bell(self) -> Mark | None:
        """Return the last bell as a call if silence has followed it."""
        if self._bell is None or current_time() < self._bell + _BELL_SETTLE:
            return None
        self._bell = None
        if self._is_waiting or self._after_bell > _BELL_NOISE:
            return None
        return Mark(Kind.BELL, Conclusion(SessionStatus.WAITING, Source.TOLD, 0.6), self._bell_end)

    async def _last_lines(self) -> LastLines:
        async with self._terminal.attach(max(0, self._end - LENGTH), AttachMode.LOSSY) as view:
            return LastLines(view.snapshot)


def _is_new(conclusion: Conclusion, before: Conclusion) -> bool:
    """Return whether it is worth a write: only another source among the weaker ones is not."""
    told = (conclusion.source is Source.TOLD, before.source is Source.TOLD)
    return (
        told[0] is not told[1]
        or conclusion.status is not before.status
        or conclusion.message != before.message
    )
