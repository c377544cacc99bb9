"""Continues leaders that have stopped themselves, as tmux does: no shell above them would.

Only SIGCHLD tells at once that a child has stopped, and signals are the host's; a pidfd tells of
the end alone, and waiting in waitid(2) takes a thread for each. So leaders are looked at: some
times soon after one of them has read or written, and seldom while all are silent.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from typing import Protocol

from anyio import CancelScope, move_on_after

from frith_terminals.readiness import Bell

_PAUSES = (0.1, 0.3, 1.0, 30.0)
"""Seconds between two looks since something has happened, and the last one again and again."""


class _Stoppable(Protocol):
    def continue_if_stopped(self) -> bool:
        """Continue it if it has stopped; tell whether it had."""


class Stops:
    """Looks after all leaders of one spawner, until closed."""

    def __init__(self) -> None:
        self._bell = Bell()
        self._stirred = self._rests = False
        # Whatever is cancelled around it, leaders are looked after until they have ended.
        self._watching = CancelScope(shield=True)

    def stir(self) -> None:
        """Look again soon: something has happened. Also from a callback of the event loop."""
        self._stirred = True
        if self._rests:
            self._rests = False
            self._bell.ring()

    def close(self) -> None:
        """Look no more."""
        self._watching.cancel()

    async def watch(self, leaders: Collection[_Stoppable]) -> None:
        """Continue those of ``leaders`` that have stopped, until closed."""
        looks = 0
        with self._watching:
            while True:
                self._stirred = False
                await self._pause(leaders, looks)
                stopped = [each.continue_if_stopped() for each in tuple(leaders)]
                looks = 0 if self._stirred or any(stopped) else looks + 1

    async def _pause(self, leaders: Collection[_Stoppable], looks: int) -> None:
        """Wait until it is time, or until something has happened after a long silence."""
        self._rests = looks > 0 or not leaders
        with move_on_after(_PAUSES[min(looks, len(_PAUSES) - 1)] if leaders else inf):
            await self._bell.wait()
