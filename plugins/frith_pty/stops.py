"""Continues leaders that have stopped themselves, as tmux does, because no shell above them would.

Only SIGCHLD announces a stop, and signals belong to the host; a pidfd announces the end only, and
waiting in waitid(2) takes a thread for each leader. So they are checked: several times soon after
one of them has read or written, and seldom while all are silent.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from typing import Protocol

from anyio import CancelScope, move_on_after

from frith_terminals.readiness import Bell

_PAUSES = (0.1, 0.3, 1.0, 30.0)
"""Seconds between two checks after some activity; the last one repeats."""


class _Stoppable(Protocol):
    def continue_if_stopped(self) -> bool:
        """Continue it if it has stopped; return whether it had."""


class Stops:
    """Checks all leaders of one spawner, until closed."""

    def __init__(self) -> None:
        self._bell = Bell()
        self._is_stirred = self._is_resting = False
        # Shielded: leaders are checked until they have ended.
        self._watching = CancelScope(shield=True)

    def stir(self) -> None:
        """Check soon, because of activity; also from a callback of the event loop."""
        self._is_stirred = True
        if self._is_resting:
            self._is_resting = False
            self._bell.ring()

    def close(self) -> None:
        """Stop checking."""
        self._watching.cancel()

    async def watch(self, leaders: Collection[_Stoppable]) -> None:
        """Continue those of ``leaders`` that have stopped, until closed."""
        checks = 0
        with self._watching:
            while True:
                self._is_stirred = False
                await self._pause(leaders, checks)
                stopped = [each.continue_if_stopped() for each in tuple(leaders)]
                checks = 0 if self._is_stirred or any(stopped) else checks + 1

    async def _pause(self, leaders: Collection[_Stoppable], checks: int) -> None:
        """Wait until it is time, or until there is activity after a long silence."""
        self._is_resting = checks > 0 or not leaders
        with move_on_after(_PAUSES[min(checks, len(_PAUSES) - 1)] if leaders else inf):
            await self._bell.wait()
