"""What the terminals of one spawner share: tasks, and the time of the event loop.

A few busy terminals read side by side. Of a crowd one reads at a time: each reading wakes the
process that writes, and twenty of them would compete with us, and with the processes of quiet
terminals, for the processors. The others wait in a queue; their processes block meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from anyio import CancelScope, sleep
from anyio.abc import TaskGroup

from frith_pty._stops import Stops
from frith_terminals.readiness import Readiness

if TYPE_CHECKING:
    from frith_pty._terminal import PtyTerminal

_SHARE = 0.002
"""Seconds that all busy terminals together may read in one turn of the event loop."""
_FEW = 4
"""More than so many that are busy are a crowd."""
_GAP = 0.0005
"""Seconds between two turns of a crowd, in which everybody else finds a processor free."""
_SPAN = 0.05
"""Seconds within which those that had output count as busy: several turns under load."""


@dataclass(slots=True)
class Home:
    """What the terminals of one spawner share."""

    tasks: TaskGroup
    readiness: Readiness
    stops: Stops = field(default_factory=Stops)
    terminals: set[PtyTerminal] = field(default_factory=set)
    """Those whose process has not been reaped."""
    is_crowded: bool = False
    """Whether a terminal that has had a turn is to :meth:`queue` for the next."""
    _queue: deque[Callable[[], None]] = field(default_factory=deque)
    _busy: set[str] = field(default_factory=set)
    _share: float = _SHARE
    _counted: float = 0.0

    def turn(self, terminal_id: str) -> float:
        """Begin a turn of one terminal; return when it is over, by ``perf_counter()``.

        The more terminals have much output, the less each may read at once, so that a turn of
        the event loop stays short. Time, not bytes: what a byte costs depends on who runs
        beside us.
        """
        now = perf_counter()
        if now - self._counted > _SPAN:
            busy = len(self._busy)
            self.is_crowded = busy > _FEW
            self._share = _SHARE / max(1, min(busy, _FEW))
            self._busy.clear()
            self._counted = now
        self._busy.add(terminal_id)
        return now + self._share

    def queue(self, go_on: Callable[[], None]) -> None:
        """Call ``go_on`` once those that queued before have had their turn."""
        self._queue.append(go_on)
        if len(self._queue) == 1:
            self.readiness.hand_over(lambda: self.tasks.start_soon(self._serve))

    async def _serve(self) -> None:
        # Whatever is cancelled around it, a terminal is read until it has been closed.
        with CancelScope(shield=True):
            while self._queue:
                await sleep(_GAP)
                self._queue.popleft()()
