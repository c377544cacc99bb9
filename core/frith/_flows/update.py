"""Changing the record of a session and its marker on request. This needs no claim."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from frith._engine.context import Engine
from frith._engine.pending import Amendment
from frith.errors import SessionOwnedError
from frith.model import Session, SessionId, SessionStatus, Source
from frith.ports import MarkerState


async def tell_status(
    engine: Engine, session_id: SessionId, status: SessionStatus, message: str | None
) -> Session:
    """Record a reported status; see :meth:`frith.SessionManager.update_session_status`."""
    before, session = await _amend(
        engine, session_id, lambda s: s.conclude(status, Source.TOLD, message=message)
    )
    running = engine.processes.owned(session_id)
    if running is not None:
        running.tell(session)
    await engine.announce_status(before, session)
    return session


async def update(engine: Engine, session_id: SessionId, fields: Mapping[str, Any]) -> Session:
    """Change ``fields`` of the record; see :meth:`frith.SessionManager.update_session`."""
    if "name" in fields:
        async with engine.exclusive(session_id):
            before, session = await _amend(engine, session_id, lambda s: s.evolve(**fields))
            await write_marker(engine, session_id)
    else:
        before, session = await _amend(engine, session_id, lambda s: s.evolve(**fields))
    await engine.announce_update(before, session)
    return session


async def _amend(engine: Engine, session_id: SessionId, fn: Amendment) -> tuple[Session, Session]:
    """Change a session; return it as it was stored before, and as it is stored now."""
    found: list[Session] = []

    def amendment(session: Session) -> Session:
        found[:] = [session]
        return fn(session)

    session = await engine.ledger.amend(session_id, amendment)
    engine.markers.write_later(session_id)
    return found[0], session


async def write_marker(engine: Engine, session_id: SessionId) -> None:
    """Write the marker of a session durably; if another process owns it, only update it.

    Without the claim a durable marker might revive a session that is just being destroyed.
    """
    async with AsyncExitStack() as claimed:
        if not engine.processes.owned(session_id):
            try:
                claim = await engine.claims.take(session_id)
            except SessionOwnedError:
                engine.markers.write_later(session_id)
                return
            claimed.push_async_callback(engine.claims.give_back, claim)
            await engine.ledger.refresh()
        session = engine.ledger.get(session_id)
        if session is not None:
            await engine.markers.write(session, MarkerState.LIVE)
