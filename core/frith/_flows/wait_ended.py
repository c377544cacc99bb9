"""Waiting until the process of a session has ended, whichever host runs it."""

from __future__ import annotations

from anyio import move_on_after

from frith._engine.context import Engine
from frith._engine.processes import has_process
from frith._flows.takeover import reconcile_process
from frith.model import Session, SessionId
from frith.ports import Holder

TICK = 1.0
"""Seconds between two checks of the owner, because the death of a host changes no record."""


async def wait_ended(engine: Engine, session_id: SessionId) -> Session:
    """Wait until the process of a session has ended, and return the session as recorded then.

    Raises:
        SessionNotFoundError: there is no such session, or it was destroyed meanwhile.
        StoreError: the sessions cannot be read.
    """
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
