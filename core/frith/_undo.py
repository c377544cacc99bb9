"""Taking back the steps of what failed or was cancelled, last first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from anyio import CancelScope, move_on_after

_PATIENCE = 30.0
"""Seconds that taking back one step may take."""


class Undo:
    """The steps to take back, last first; what cannot be taken back is said."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        self.left_behind: list[str] = []

    def push(self, what: str, step: Callable[[], Awaitable[object]]) -> None:
        """Add a step; ``what`` names it, for :meth:`forget` and for a person."""
        self._steps.append((what, step))

    def forget(self, *whats: str) -> None:
        """Leave these steps as they are."""
        self._steps = [step for step in self._steps if step[0] not in whats]

    async def run(self) -> None:
        """Take back every step; one that fails is noted in :attr:`left_behind`."""
        with CancelScope(shield=True):
            for what, step in reversed(self._steps):
                with move_on_after(_PATIENCE) as scope:
                    try:
                        await step()
                    except Exception as error:
                        self.left_behind.append(f"{what}: {error}")
                if scope.cancelled_caught:
                    self.left_behind.append(f"{what}: took too long")
