"""Ending the process of a session."""

from __future__ import annotations

from anyio import CancelScope

from frith._engine.context import Engine
from frith._engine.processes import Ending, without_process
from frith._flows.takeover import take_over
from frith.model import Session, SessionId, SessionStatus


async def stop(engine: Engine, session_id: SessionId) -> Session:
    """End the process of a session; see :meth:`frith.SessionManager.stop_session`."""
    async with engine.exclusive(session_id):
        before = await engine.ledger.need(session_id)
        process = engine.processes.owned(session_id)
        if process is not None:
            await process.end(Ending.STOP)
            return await engine.ledger.need(session_id)
        before, claim = await take_over(engine, before)
        try:
            session = await engine.ledger.amend(
                session_id, lambda s: without_process(s, SessionStatus.STOPPED), claim=claim
            )
        finally:
            with CancelScope(shield=True):
                await engine.claims.give_back(claim)
    await engine.announce_status(before, session)
    return session
