"""Ending the process of a session, and waiting for its end, whichever host runs it."""

from __future__ import annotations

from anyio import move_on_after

from frith._engine.context import Engine
from frith._engine.processes import Ending, has_process, without_process
from frith._flows.takeover import reconcile_process, taken_over
from frith.model import Session, SessionId, SessionStatus
from frith.ports import Holder

TICK = 1.0
"""Seconds between two checks of the owner, because the death of a host changes no record."""


async def stop(engine: Engine, session_id: SessionId) -> Session:
    """End the process of a session; see :meth:`frith.SessionManager.stop_session`."""
    async with engine.exclusive(session_id):
        before = await engine.ledger.need(session_id)
        process = engine.processes.owned(session_id)
        if process is not None:
            await process.end(Ending.STOP)
            return await engine.ledger.need(session_id)
        async with taken_over(engine, before) as (before, claim):
            session = await engine.ledger.amend(
                session_id, lambda s: without_process(s, SessionStatus.STOPPED), claim=claim
            )
    await engine.announce_status(before, session)
    return session


async def wait_ended(engine: Engine, session_id: SessionId) -> Session:
    """Wait for the end of a process; see :meth:`frith.SessionManager.wait_ended`."""
    session = await engine.ledger.need(session_id)
    if not engine.processes.owned(session_id):
        engine.follow()
        await engine.ledger.refresh()
    while True:
        process = engine.processes.owned(session_id)
        if process is not None:
            await process.ended()
        session = await engine.ledger.need(session_id)
        if not has_process(session):
            return session
        if not engine.processes.owned(session_id):
            with move_on_after(TICK):
                await engine.ledger.changed()
            if await engine.claims.holder(session_id) is Holder.FREE:
                await reconcile_process(engine, session)
