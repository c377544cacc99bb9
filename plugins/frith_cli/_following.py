"""Hearing of what changes: here, and through the store in other processes."""

from __future__ import annotations

from anyio import Event, move_on_after

from frith import Session, SessionManager, hookimpl
from frith.errors import SessionNotFoundError
from frith.ports import Terminal

TICK = 1.0
"""Seconds after which is looked again: a death changes no record."""
_PATIENCE = 10.0
"""Seconds within which somebody must have recorded how a process ended."""


class News:
    """A plugin of the command's own that wakes who waits for changes."""

    def __init__(self) -> None:
        self._changed = Event()

    @hookimpl
    async def frith_session_changed_elsewhere(self) -> None:
        """Wake who waits."""
        self._changed.set()

    @hookimpl
    async def frith_session_status_changed(self) -> None:
        """Wake who waits."""
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Wait for a change since the last call, for ``seconds`` at most."""
        with move_on_after(seconds):
            await self._changed.wait()
        self._changed = Event()


async def wait_recorded(
    manager: SessionManager, news: News, session_id: str, terminal: Terminal
) -> Session | None:
    """Wait until it is recorded how the process of ``terminal`` ended, and return its session.

    Its owner records it, be it another process; where nobody owns it, this one does. ``None`` if
    the session was destroyed meanwhile.
    """
    try:
        with move_on_after(_PATIENCE):
            return await manager.wait_ended(session_id)
    except SessionNotFoundError:
        return None
    return manager.get_session(session_id)
