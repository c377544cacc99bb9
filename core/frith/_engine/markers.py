"""Writes the markers of sessions, from which a lost store is rebuilt.

Identity is written at once and durably; activity, status and metadata at most once a second.
"""

from __future__ import annotations

from anyio import Lock, sleep

from frith._engine.ledger import COALESCE, Ledger
from frith._engine.open_providers import Providers
from frith._engine.tasks import Tasks
from frith.errors import FrithError
from frith.logs import log
from frith.model import Session, SessionId
from frith.ports import MarkerState
from frith.providers import Role


class Markers:
    """Writes markers. A failure is usually only logged, because the store holds the truth."""

    def __init__(self, tasks: Tasks, providers: Providers, ledger: Ledger) -> None:
        self._tasks = tasks
        self._providers = providers
        self._ledger = ledger
        self._outdated: set[SessionId] = set()
        self._waiting = False
        self._writing = Lock()

    async def write(self, session: Session, state: MarkerState) -> None:
        """Write the marker of ``session`` durably, now; the caller must hold its claim."""
        async with self._writing:
            self._outdated.discard(session.id)
            await self._write(session, state, durable=True)

    async def release(self, session: Session) -> None:
        """Mark ``session`` as destroyed, so that no rebuild brings it back.

        The caller must hold its claim.

        Raises:
            FrithError, OSError: the marker cannot be written.
        """
        async with self._writing:
            self._outdated.discard(session.id)
            async with self._providers.use(Role.RECOVERY) as recovery:
                await recovery.remember(session, MarkerState.RELEASED)

    def write_later(self, session_id: SessionId) -> None:
        """Update the marker of a session within a second, unless it is being destroyed."""
        self._outdated.add(session_id)
        if not self._waiting:
            self._waiting = True
            self._tasks.start(self._write_soon)

    def forget(self, session_id: SessionId) -> None:
        """Cancel the update of a marker, because another process may write it by now."""
        self._outdated.discard(session_id)

    async def flush(self) -> None:
        """Write the updates that are waiting."""
        async with self._writing:
            while self._outdated:
                session = self._ledger.get(self._outdated.pop())
                if session is not None:
                    await self._write(session, MarkerState.LIVE, durable=False)

    async def _write_soon(self) -> None:
        await sleep(COALESCE)
        self._waiting = False
        await self.flush()

    async def _write(self, session: Session, state: MarkerState, *, durable: bool) -> None:
        try:
            async with self._providers.use(Role.RECOVERY) as recovery:
                await recovery.remember(session, state, durable=durable)
        except (FrithError, OSError) as error:
            log.warning("marker_not_written", session_id=session.id, reason=str(error))
