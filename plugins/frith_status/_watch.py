"""The watch over one process: when to look, and what has changed.

Nothing is polled. Output, something told, and the next threshold of silence each lead to one look;
while a process waits for the user, no timer runs at all.
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
    StatusWatch,
    Stuck,
    Terminal,
)
from frith_status._judging import Seen, Told, judge
from frith_status._marks import Kind, Mark, Marks
from frith_status._rules import Rules
from frith_status._screen import LENGTH, Screen
from frith_status.options import StatusOptions

_SOON = 1.0
"""Seconds of output after which a process that was not active is looked at, silent or not."""
_BELL_SETTLE = 0.1
_BELL_NOISE = 512
"""Bytes that may follow a bell within that time; more is a flood in which it was no call."""
_PACE = 0.05
_PACE_BYTES = 512 * 1024
_PACE_CHUNKS = 8
"""What may be read within ``_PACE`` seconds: so a flood costs little, and may be missed in part."""


class Watch(StatusWatch):
    """Watches one terminal; one task iterates it."""

    def __init__(self, terminal: Terminal, options: StatusOptions, rules: Rules) -> None:
        self._terminal = terminal
        self._options = options
        self._rules = rules
        self._marks = Marks()
        self._news = Event()
        self._said: list[Mark] = []
        self._told: Told | None = None
        self._bell: float | None = None
        self._bell_end = 0
        self._after_bell = 0
        self._last_output = self._looked = current_time()
        self._fresh: float | None = self._last_output
        """When the first output came that was not looked at yet."""
        self._end = 0
        self._ended = False
        self._concluded = Conclusion(SessionStatus.ACTIVE, Source.PROCESS)
        self._warn_after = options.stuck

    def tell(self, conclusion: Conclusion) -> None:
        """Take what somebody says; see ``StatusWatch.tell``."""
        asks = conclusion.status is SessionStatus.WAITING
        self._said.append(Mark(Kind.CALL if asks else Kind.SAID, conclusion, maxsize))
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
                self._marks.lost()
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
                self._said.append(replace(mark, end=end))
                self._bell = None  # it says more than a bell
        if self._fresh is None:
            self._fresh = self._last_output
            self._news.set()
        if self._said or self._bell is not None:
            self._news.set()

    async def __aiter__(self) -> AsyncIterator[Conclusion | Stuck]:
        """Yield each conclusion that differs from the one before, and warnings."""
        while not self._ended:
            due = self._due()
            with move_on_after(max(0.0, due - current_time()) if due < inf else None):
                await self._news.wait()
            self._news = Event()
            if self._ended:
                return
            if self._said or self._due() <= current_time():
                conclusion = await self._look()
                if _is_news(conclusion, self._concluded):
                    self._concluded = conclusion
                    yield conclusion
            silent = current_time() - self._last_output
            if self._may_be_stuck and silent >= self._warn_after:
                self._warn_after += self._options.remind
                yield Stuck(silent)

    @property
    def _waits(self) -> bool:
        return self._concluded.status is SessionStatus.WAITING

    @property
    def _may_be_stuck(self) -> bool:
        concluded = self._concluded
        rests = concluded.source is Source.TOLD and concluded.status is not SessionStatus.ACTIVE
        return not self._waits and not rests

    def _due(self) -> float:
        """Return when to look next, unless something happens before."""
        options, moments = self._options, [inf]
        if self._bell is not None:
            moments.append(self._bell + _BELL_SETTLE)
        if self._fresh is not None:
            moments.append(self._last_output + options.settle)
            if self._concluded.status is not SessionStatus.ACTIVE:
                moments.append(self._fresh + _SOON)
        elif not self._waits:
            silences = (options.quiet, options.idle)
            moments += [m for s in silences if (m := self._last_output + s) > self._looked]
            if self._may_be_stuck:
                moments.append(self._last_output + self._warn_after)
        return min(moments)

    async def _look(self) -> Conclusion:
        foreground = await self._terminal.foreground()
        self._looked = current_time()
        settled = self._looked >= self._last_output + self._options.settle
        self._fresh = None if settled else self._looked
        bell = self._rung()
        for mark in [*self._said, *([bell] if bell is not None else [])]:
            self._told = self._taken(mark, foreground)
        self._said.clear()
        seen = Seen(self._looked, self._last_output, foreground, await self._screen())
        if self._told is not None and self._told.overtaken(seen):
            self._told = None
        return judge(seen, self._told, self._rules, self._options)

    def _taken(self, mark: Mark, foreground: Foreground | None) -> Told | None:
        """Return what a mark tells, as of now, or as of the input that has come since."""
        if mark.conclusion is None:
            return None
        if foreground is None or foreground.written is None:
            return Told(mark.kind, mark.conclusion, self._looked, None)
        written, written_at = foreground.written, foreground.written_at
        if written_at is None or written_at < mark.end:
            return Told(mark.kind, mark.conclusion, self._looked, written)
        at = -inf if self._end > written_at else self._looked
        return Told(mark.kind, mark.conclusion, at, written - 1)

    def _rung(self) -> Mark | None:
        """Return the call that a bell was, if silence has followed it."""
        if self._bell is None or current_time() < self._bell + _BELL_SETTLE:
            return None
        self._bell = None
        if self._waits or self._after_bell > _BELL_NOISE:
            return None
        return Mark(Kind.BELL, Conclusion(SessionStatus.WAITING, Source.TOLD, 0.6), self._bell_end)

    async def _screen(self) -> Screen:
        async with self._terminal.attach(max(0, self._end - LENGTH), AttachMode.LOSSY) as view:
            return Screen(view.snapshot)


def _is_news(conclusion: Conclusion, before: Conclusion) -> bool:
    """Tell whether it says anything new; which weaker source says the same is not worth a write."""
    told = (conclusion.source is Source.TOLD, before.source is Source.TOLD)
    return (
        told[0] is not told[1]
        or conclusion.status is not before.status
        or conclusion.message != before.message
    )
