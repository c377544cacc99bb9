"""Destroying a session: its process, its worktree if asked, and its record."""

from __future__ import annotations

import time
from dataclasses import replace

from anyio import CancelScope

from frith._engine.claims import HeldClaim
from frith._engine.context import Engine
from frith._engine.processes import without_process
from frith._flows.takeover import taken_over
from frith._flows.terminals import forget_output
from frith.errors import (
    CommitOutcomeUnknownError,
    RemovalBlockedError,
    SessionNotFoundError,
    SessionOwnedError,
    WorkAtStakeError,
)
from frith.events import SessionDestroyed, SessionDestroying
from frith.model import AtStake, Changes, Reservation, Session, SessionId, SessionStatus, Snapshot
from frith.ports import Holder, MarkerState
from frith.providers import Role


async def inspect(engine: Engine, session_id: SessionId) -> AtStake:
    """See :meth:`frith.SessionManager.inspect_session`."""
    return await _at_stake(engine, await engine.ledger.need(session_id))


async def _at_stake(engine: Engine, session: Session) -> AtStake:
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        at_stake = await workspace.inspect(session)
    others = _others_in(engine.ledger.snapshot, session)
    if not others:
        return at_stake
    return replace(at_stake, blocked=(*at_stake.blocked, *others))


def _others_in(snapshot: Snapshot, session: Session) -> list[str]:
    places: list[Session | Reservation] = [
        *snapshot.sessions.values(),
        *snapshot.reservations.values(),
    ]
    return [
        f"session {other.name} ({other.id}) uses it too"
        for other in places
        if other.worktree_path == session.worktree_path and other.id != session.id
    ]


async def destroy(engine: Engine, session_id: SessionId, cleanup: bool, force: bool) -> None:
    """Destroy a session; see :meth:`frith.SessionManager.destroy_session`."""
    started = time.monotonic()
    async with engine.exclusive(session_id):
        await engine.ledger.refresh()
        session = await engine.ledger.need(session_id)
        is_owned = engine.processes.owned(session_id) is not None
        if not is_owned and await engine.claims.holder(session_id) is Holder.UNKNOWN:
            raise SessionOwnedError(session_id, certain=False)  # its owner cannot be asked
        at_stake = AtStake()
        if cleanup:
            at_stake = await _check_removable(engine, session, force=force)
        event = SessionDestroying(
            workspace=engine.workspace,
            session=session,
            cleanup=cleanup,
            force=force,
            at_stake=at_stake,
        )
        await engine.hooks.ask(event, refuse_broken=cleanup)
        async with taken_over(engine, session) as (session, claim):
            session = await engine.ledger.amend(
                session_id, lambda s: without_process(s, _ended(s.status)), claim=claim
            )
            if cleanup:
                await _check_removable(engine, session, force=force)
            with CancelScope(shield=True):
                await _remove(engine, session, claim, cleanup=cleanup, force=force)
    with CancelScope(shield=True):
        await engine.hooks.notify(
            SessionDestroyed(
                workspace=engine.workspace,
                session=session,
                cleanup=cleanup,
                duration=time.monotonic() - started,
            )
        )


def _ended(status: SessionStatus) -> SessionStatus:
    """Return ``stopped`` for a session that was running, else the status that it has."""
    running = status in (SessionStatus.ACTIVE, SessionStatus.WAITING)
    return SessionStatus.STOPPED if running else status


async def _check_removable(engine: Engine, session: Session, *, force: bool) -> AtStake:
    at_stake = await _at_stake(engine, session)
    if at_stake.blocked:
        raise RemovalBlockedError(session.worktree_path, at_stake.blocked)
    if at_stake and not force:
        raise WorkAtStakeError(session.worktree_path, at_stake)
    return at_stake


async def _remove(
    engine: Engine, session: Session, claim: HeldClaim, *, cleanup: bool, force: bool
) -> None:
    """Remove the worktree if asked, then the record; restore the marker if that fails.

    Raises:
        CommitOutcomeUnknownError: of removing the record too. The marker stays then, because that
            of a living session would let a rebuild bring back a session that is removed.
        ClaimLostError: another process owns the session. The marker stays then, too.
    """
    is_last = False
    try:
        if cleanup:
            await _record_removal(engine, session, claim)
            claim.check()
            await engine.markers.write(session, MarkerState.REMOVING)
            async with engine.providers.use(Role.WORKSPACE) as workspace:
                await workspace.remove(session, force=force)
        else:
            claim.check()
            await engine.markers.release(session)
        await forget_output(engine, session)
        is_last = True
        await engine.ledger.drop(session.id, claim=claim)
        engine.processes.forget(session.id)
    except BaseException as error:
        if claim.is_lost or (is_last and isinstance(error, CommitOutcomeUnknownError)):
            raise
        if cleanup:
            engine.ledger.defer(
                session.id, "removing", lambda s: s.detail(removing=None), claim=claim
            )
        await engine.markers.write(session, MarkerState.LIVE)
        raise


async def _record_removal(engine: Engine, session: Session, claim: HeldClaim) -> None:
    """Record that the worktree is being removed, so that no other session joins it."""

    def transaction(snapshot: Snapshot) -> Changes:
        others = _others_in(snapshot, session)
        if others:
            raise RemovalBlockedError(session.worktree_path, others)
        if session.id not in snapshot.sessions:
            raise SessionNotFoundError(session.id)
        return Changes(put=(snapshot.sessions[session.id].detail(removing=True),))

    await engine.ledger.change(transaction, claim=claim)
