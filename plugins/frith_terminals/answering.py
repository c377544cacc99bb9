"""Each query of a process is answered once: by the viewer that owns the size, or else here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from anyio import lowlevel, move_on_after, sleep
from anyio.abc import TaskGroup

from frith.errors import FrithError
from frith_terminals.queries import MOST, Query
from frith_terminals.readiness import Readiness
from frith_terminals.viewing import Viewer, Viewers
from frith_vt import fixed_answer

_TAKEN_WITHIN = 0.25
"""Seconds within which a viewer must have taken a query; then the emulator answers, well before
programs stop waiting, which is after a second mostly."""
_LATEST = 1.0
"""Seconds after which no answer is sent: the program may have ended, and a shell that reads next
would take the answer for input."""
_SHARE = 4
"""Interpreting output for answers takes a quarter of the time at most, except for a while."""

Claim = Callable[[Sequence[int]], Awaitable[Mapping[int, str | None]]]
"""Given offsets of queries, returns those that this host has to have answered: by the viewer of
that name, or by the emulator."""


class Answering:
    """Has the queries of one terminal answered, from its first on: most have none."""

    def __init__(
        self,
        viewers: Viewers,
        readiness: Readiness,
        tasks: TaskGroup,
        claim: Claim,
        answer: Callable[[int, bytes], Awaitable[None]],
    ) -> None:
        """Answer the queries in the output of ``viewers``.

        Args:
            viewers: those of the terminal.
            readiness: starts the tasks that answer.
            tasks: where they run.
            claim: finds out which queries this host has to have answered.
            answer: writes the emulator's answer to the query at an offset.
        """
        self._viewers = viewers
        self._readiness = readiness
        self._tasks = tasks
        self._claim = claim
        self._write = answer
        self._undecided: list[Query] = []
        self._due: list[Query] = []
        self._is_deciding = self._is_answering = False
        self._paid_until = 0.0
        viewers.on_queries = self.found
        viewers.on_missed = self._missed

    def found(self, queries: Sequence[Query]) -> None:
        """Have ``queries`` answered; may be called from a callback of the event loop."""
        self._undecided.extend(queries[: MOST - len(self._undecided)])
        self._viewers.held = self._undecided[0].start
        self._readiness.hand_over(self._start_deciding)

    def _start_deciding(self) -> None:
        if self._undecided and not self._is_deciding:
            self._is_deciding = True
            self._tasks.start_soon(self._decide)

    async def _decide(self) -> None:
        """Find out who answers; until then no viewer sees the query."""
        viewers = self._viewers
        try:
            while queries := tuple(self._undecided):
                mine: Mapping[int, str | None] = {}
                with move_on_after(_LATEST):
                    mine = await self._claim([query.start for query in queries])
                del self._undecided[: len(queries)]
                viewers.held = self._undecided[0].start if self._undecided else None
                for query in queries:
                    if query.start in mine:
                        self._settle(query, mine[query.start])
                if others := [query for query in queries if query.start not in mine]:
                    self._tasks.start_soon(self._claim_again, others)
                viewers.proceed()
        finally:
            self._is_deciding = False

    def _settle(self, query: Query, name: str | None) -> None:
        viewer = None if name is None else self._viewers.called(name)
        if viewer is None or viewer.cursor > query.start:
            self._answer_soon([query])
        else:
            viewer.asked.append(query)
            self._tasks.start_soon(self._take_back, viewer, query)

    async def _claim_again(self, queries: Sequence[Query]) -> None:
        """Answer queries whose viewer is in another host if that does not run."""
        await sleep(_TAKEN_WITHIN)
        mine = await self._claim([query.start for query in queries])
        self._answer_soon([query for query in queries if query.start in mine])

    async def _take_back(self, viewer: Viewer, query: Query) -> None:
        await sleep(_TAKEN_WITHIN)
        if query in viewer.asked and viewer.cursor <= query.start:
            viewer.asked.remove(query)
            self._answer_soon([query])

    def _missed(self, queries: Sequence[Query]) -> None:
        if queries:
            self._readiness.hand_over(lambda: self._answer_soon(queries))

    def _answer_soon(self, queries: Sequence[Query]) -> None:
        self._due.extend(queries[: MOST - len(self._due)])
        if self._due and not self._is_answering:
            self._is_answering = True
            self._tasks.start_soon(self._answer)

    async def _answer(self) -> None:
        try:
            while self._due:
                query = self._due.pop(0)
                with move_on_after(query.found_at + _LATEST - monotonic()):
                    await self._answer_one(query)
        finally:
            self._is_answering = False

    async def _answer_one(self, query: Query) -> None:
        await lowlevel.checkpoint()
        answer = fixed_answer(query.data)
        if answer is None:
            await self._interpret(query.start)
            answer = self._viewers.picture.answer(query.data)
        if answer:
            with suppress(FrithError):  # the process has ended, or does not read
                await self._write(query.start, answer)

    async def _interpret(self, to: int) -> None:
        """Interpret the output up to ``to``, as far as the budget goes."""
        picture = self._viewers.picture
        while (began := monotonic()) >= self._paid_until:
            is_there = picture.approach(to)
            took = monotonic() - began
            self._paid_until = max(self._paid_until, began - 1) + _SHARE * took
            if is_there:
                return
            await lowlevel.checkpoint()
