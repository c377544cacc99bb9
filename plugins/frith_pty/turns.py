"""Fair reading: how long each busy terminal of one spawner reads before others have their turn.

A few busy terminals read side by side. Of a crowd one reads at a time: each reading wakes the
process that writes, and twenty of them would compete with us, and with the processes of quiet
terminals, for the processors. The others wait in a queue; their processes block meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter

from anyio import CancelScope, sleep
from anyio.abc import TaskGroup

from frith_terminals.readiness import Readiness

_SHARE = 0.005
"""Seconds that a few busy terminals together may read in one turn of the event loop. Between two
turns viewers are served, and the process soon has to wait: fewer turns make it faster."""
_FEW = 4
"""More busy terminals than that are a crowd."""
_SHORT = 0.0005
"""Seconds that each terminal of a crowd may read in one turn."""
_GAP = 0.0005
"""Seconds between two turns of a crowd, in which other processes find a processor free."""
_SPAN = 0.05
"""Seconds within which those that had output count as busy: several turns under load."""


class Turns:
    """The turns of the terminals of one spawner."""

    def __init__(self, tasks: TaskGroup, readiness: Readiness) -> None:
        self.is_crowded = False
        """Whether a terminal that has had a turn is to :meth:`queue` for the next."""
        self._tasks = tasks
        self._readiness = readiness
        self._queue: deque[Callable[[], None]] = deque()
        self._busy: set[str] = set()
        self._share = _SHARE
        self._counted = 0.0

    def begin(self, terminal_id: str) -> float:
        """Begin a turn of one terminal; return when it is over, by ``perf_counter()``.

        The more terminals have much output, the less each may read at once, so that a turn of
        the event loop stays short. It is bounded in time, too, because the cost of a byte depends
        on other processes.
        """
        now = perf_counter()
        if now - self._counted > _SPAN:
            busy = len(self._busy)
            self.is_crowded = busy > _FEW
            self._share = _SHORT if self.is_crowded else _SHARE / max(1, busy)
            self._busy.clear()
            self._counted = now
        self._busy.add(terminal_id)
        return now + self._share

    def queue(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` once those that queued before have had their turn."""
        self._queue.append(resume)
        if len(self._queue) == 1:
            self._readiness.hand_over(lambda: self._tasks.start_soon(self._serve))

    async def _serve(self) -> None:
        # Shielded: a terminal is read until it has been closed.
        with CancelScope(shield=True):
            while self._queue:
                await sleep(_GAP)
                self._queue.popleft()()
