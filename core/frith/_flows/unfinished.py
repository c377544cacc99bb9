"""Finishing or undoing the creations and removals that dead processes began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

from frith._engine.claims import HeldClaim
from frith._engine.context import Engine
from frith._engine.processes import without_process
from frith._flows.rebuild import read_markers
from frith._flows.takeover import Report, claimed_if_free, label
from frith._flows.terminals import forget_output, sweep
from frith.errors import RemovalBlockedError, WorkAtStakeError
from frith.logs import log
from frith.model import (
    AtStake,
    Changes,
    Details,
    Reservation,
    Session,
    SessionId,
    SessionStatus,
    Snapshot,
)
from frith.ports import Location, Marker, MarkerState, Presence, WorktreePlan
from frith.providers import Role


async def settle_reservations(engine: Engine) -> list[str]:
    """Finish or undo the creations that a dead process began; return a line for each.

    A creation is undone if the new worktree holds no work, and finished otherwise.
    """
    lines: list[str] = []
    for reservation in tuple(engine.ledger.snapshot.reservations.values()):
        try:
            async with claimed_if_free(engine, reservation.id) as (_, claim):
                if claim is None:
                    continue
                # The creation may have finished only now.
                newest = await engine.ledger.refresh()
                if reservation.id in newest.reservations:
                    lines.append(await _settle_reservation(engine, reservation, claim))
        except Exception as error:
            log.warning("creation_not_settled", session_id=reservation.id, reason=error)
    return lines


async def _settle_reservation(engine: Engine, reservation: Reservation, claim: HeldClaim) -> str:
    marker = next((m for m in await read_markers(engine) if m.session.id == reservation.id), None)
    session = _session_of(reservation, marker, engine.config.terminal)
    await sweep(engine, session)
    at_stake = await _discard(engine, reservation)
    finished = [without_process(session, SessionStatus.IDLE)] if at_stake else []
    if not at_stake:
        await forget_output(engine, session)

    def transaction(newest: Snapshot) -> Changes:
        if reservation.id not in newest.reservations:
            return Changes()
        put = finished if reservation.id not in newest.sessions else []
        return Changes(put=tuple(put), release=frozenset({reservation.id}))

    await engine.ledger.change(transaction, claim=claim)
    if at_stake:
        await engine.markers.write(finished[0], MarkerState.LIVE)
        return f"finished the creation of {session.name} ({session.id}): {at_stake.summary()}"
    return f"undid the creation of {session.name} ({session.id})"


def _session_of(reservation: Reservation, marker: Marker | None, terminal: str) -> Session:
    if marker is not None and marker.complete:
        return marker.session
    return Session(
        id=reservation.id,
        name=reservation.name,
        status=SessionStatus.IDLE,
        branch=reservation.branch,
        worktree_path=reservation.worktree_path,
        created_at=reservation.created_at,
        last_activity=reservation.created_at,
        details=Details(terminal=terminal),
    )


async def _discard(engine: Engine, reservation: Reservation) -> AtStake:
    if any(s.worktree_path == reservation.worktree_path for s in engine.ledger.all()):
        return AtStake()  # it would have shared another session's worktree
    plan = WorktreePlan(
        session_id=reservation.id,
        path=reservation.worktree_path,
        branch=reservation.branch,
        creates_branch=reservation.creates_branch,
        base_oid=reservation.base_oid,
    )
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        return await workspace.discard(plan)


async def settle_removals(engine: Engine, report: Report) -> None:
    """Undo the removals that dead processes began; finish those whose worktree is gone already."""
    going = [session.id for session in engine.ledger.all() if session.details.removing]
    claimed: dict[SessionId, HeldClaim] = {}
    with _noting(engine, report, *going):
        async with AsyncExitStack() as claims:
            for session_id in going:
                with _noting(engine, report, session_id):
                    if_free = claimed_if_free(engine, session_id)
                    _, claim = await claims.enter_async_context(if_free)
                    if claim is not None:
                        claimed[session_id] = claim
            if claimed:
                with _noting(engine, report, *claimed):
                    await _settle_claimed(engine, claimed, report)


async def _settle_claimed(
    engine: Engine, claimed: dict[SessionId, HeldClaim], report: Report
) -> None:
    newest = (await engine.ledger.refresh()).sessions
    going = [newest[id_] for id_ in claimed if id_ in newest and newest[id_].details.removing]
    if not going:
        return
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        # First, because it waits until the programs that the dead processes started have ended.
        await workspace.repair()
        where = await workspace.locate(going)
    undone: list[SessionId] = []
    for session in going:
        claim = claimed[session.id]
        with _noting(engine, report, session.id):
            if await _is_removed(engine, session, where[session.id]):
                await forget_output(engine, session)
                await engine.ledger.drop(session.id, claim=claim)
                report.notes.append(f"finished the removal of {session.name} ({session.id})")
            else:
                kept = await engine.ledger.amend(
                    session.id, lambda s: s.detail(removing=None), claim=claim
                )
                undone.append(session.id)
                await engine.markers.write(kept, MarkerState.LIVE)
                report.notes.append(f"undid the removal of {session.name} ({session.id})")
    if undone:
        with _noting(engine, report, *undone):
            async with engine.providers.use(Role.WORKSPACE) as workspace:
                report.notes.extend(await workspace.repair())  # they may be unprotected


async def _is_removed(engine: Engine, session: Session, location: Location) -> bool:
    """Tell whether the worktree is gone; if it is, remove what the repository still keeps of it."""
    if location.presence is not Presence.MISSING:
        return False
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        try:
            with suppress(RemovalBlockedError):
                await workspace.remove(session)
        except WorkAtStakeError:
            return False
    return True


@contextmanager
def _noting(engine: Engine, report: Report, *session_ids: SessionId) -> Iterator[None]:
    """Report an error as the reason why the removals of these sessions are not settled."""
    try:
        yield
    except Exception as error:
        for session_id in session_ids:
            report.notes.append(f"{label(engine, session_id)}: {error}")
            log.warning("removal_not_settled", session_id=session_id, reason=error)
