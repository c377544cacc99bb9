"""Hearing of what other processes change, through the store."""

from __future__ import annotations

from anyio import Event, move_on_after

from spinney import hookimpl


class News:
    """A plugin of the command's own that wakes who waits for changes."""

    def __init__(self) -> None:
        self._changed = Event()

    @hookimpl
    async def spinney_session_changed_elsewhere(self) -> None:
        """Wake who waits."""
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Wait for a change since the last call, for ``seconds`` at most."""
        with move_on_after(seconds):
            await self._changed.wait()
        self._changed = Event()
