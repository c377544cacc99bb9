"""Waiting until the process of a session has ended, whichever host runs it."""

from __future__ import annotations

from anyio import move_on_after

from frith._parts import Parts
from frith._restoring import reconcile_process
from frith.model import Session, SessionId
from frith.ports import Holder

TICK = 1.0
"""Seconds after which the owner is looked at again: the death of a host changes no record."""


async def wait_ended(parts: Parts, session_id: SessionId) -> Session:
    """Wait until the process of a session has ended, and return the session as recorded then.

    Raises:
        SessionNotFoundError: there is no such session, or it was destroyed meanwhile.
        StoreError: the sessions cannot be read.
    """
    session = await parts.ledger.need(session_id)
    if not parts.mine(session_id):
        parts.follow()
        await parts.ledger.refresh()
    while True:
        running = parts.mine(session_id)
        if running is not None:
            await running.ended()
        session = await parts.ledger.need(session_id)
        if session.pty_pid is None and session.details.terminal_ref is None:
            return session
        if not parts.mine(session_id):
            with move_on_after(TICK):
                await parts.ledger.changed()
            if await parts.claims.holder(session_id) is Holder.FREE:
                await reconcile_process(parts, session)
