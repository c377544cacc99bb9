"""What the terminals of one spawner share: tasks, and the time of the event loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from spinney_unix.readiness import Readiness

if TYPE_CHECKING:
    from spinney_pty._terminal import PtyTerminal

_SHARE = 0.002
"""Seconds that all busy terminals together may read in one turn of the event loop."""
_FEW = 4
"""If more than so many are busy, each reads once: what they read wakes their processes, which
then compete with us for the processor."""
_SPAN = 0.05
"""Seconds within which those that had output count as busy: several turns under load."""


@dataclass(slots=True)
class Home:
    """What the terminals of one spawner share."""

    tasks: TaskGroup
    readiness: Readiness
    terminals: set[PtyTerminal] = field(default_factory=set)
    """Those whose process has not been reaped."""
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
            busy = max(1, len(self._busy))
            self._share = _SHARE / busy if busy <= _FEW else 0.0
            self._busy.clear()
            self._counted = now
        self._busy.add(terminal_id)
        return now + self._share
