"""The flow at start: load, recover if need be, and bring the record in line with the world."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from anyio import create_task_group, sleep

from frith._engine.binding import check_bound
from frith._engine.claims import Owned
from frith._engine.context import Engine
from frith._engine.processes import without_process
from frith._flows.rebuild import protect, recover, remembered, verify
from frith._flows.takeover import claimed_if_free, go_on, write_marker
from frith._flows.terminals import adopt, forget, has_ended, sweep
from frith.errors import (
    CorruptStoreError,
    FrithError,
    RemovalBlockedError,
    TerminalClosedError,
    WorkAtStakeError,
    WorkspaceError,
)
from frith.events import SessionsRestored
from frith.logs import log
from frith.model import (
    AtStake,
    Changes,
    Details,
    Integrity,
    Reservation,
    Session,
    SessionId,
    SessionStatus,
    Snapshot,
)
from frith.ports import Holder, Location, Marker, MarkerState, Presence, WorktreePlan
from frith.providers import Role, chosen_name

_ATTEMPTS, _RETRY = 20, 0.05
"""How often, and how many seconds apart, a claim is tried whose holder may be dying."""


@dataclass(slots=True)
class _Report:
    """What the start found and did."""

    swept: list[int] = field(default_factory=list)
    adopted: list[SessionId] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def load(engine: Engine) -> Snapshot:
    """Load the stored state into the ledger; rebuild it where it is missing or corrupt.

    Raises:
        StoreMismatchError: the sessions of the workspace are kept in another store.
    """
    await check_bound(engine)
    try:
        snapshot = await engine.ledger.load()
    except CorruptStoreError as error:
        await recover(engine, error)
        return await engine.ledger.load()
    if snapshot.integrity is Integrity.MISSING:
        await recover(engine, None)
        return await engine.ledger.load()
    if snapshot.integrity is not Integrity.VERIFIED:
        log.warning("state_not_verified", reason=snapshot.integrity.value)
        return await verify(engine, snapshot)
    return snapshot


async def restore(engine: Engine) -> None:
    """Load the sessions; clear what dead owners left; finish or undo what they began."""
    started = time.monotonic()
    report = _Report()
    if (await load(engine)).sessions:
        await check_bound(engine, write=True)
    await reconcile(engine, report)
    await _refresh_markers(engine)
    where = await locations(engine, report)
    for session_id in _those(where, Presence.REDIRECTED):
        report.notes.append(f"{_called(engine, session_id)}: {where[session_id].reason}")
    await engine.hooks.sessions_restored(
        SessionsRestored(
            workspace=engine.workspace,
            sessions=engine.ledger.all(),
            missing=_those(where, Presence.MISSING),
            moved=_those(where, Presence.MOVED),
            swept=tuple(report.swept),
            adopted=tuple(report.adopted),
            notes=tuple(report.notes),
            duration=time.monotonic() - started,
        )
    )


async def reload(engine: Engine) -> tuple[Session, ...]:
    """Take over what is stored, and bring it in line with the world; return the sessions."""
    await engine.ledger.refresh()
    await reconcile(engine)
    return engine.ledger.all()


async def _refresh_markers(engine: Engine) -> None:
    """Bring markers up to date that a dead host left behind its last records."""
    if not engine.ledger.all():
        return
    try:
        markers = {marker.session.id: marker for marker in await remembered(engine)}
    except FrithError as error:
        log.warning("markers_not_checked", reason=error)
        return
    for session in engine.ledger.all():
        if markers.get(session.id) != Marker(session, MarkerState.LIVE):
            await write_marker(engine, session.id)
    if any(not marker.complete for marker in markers.values()):
        await protect(engine)


def _those(where: dict[SessionId, Location], presence: Presence) -> tuple[SessionId, ...]:
    return tuple(id_ for id_, location in where.items() if location.presence is presence)


async def locations(engine: Engine, report: _Report | None = None) -> dict[SessionId, Location]:
    """Tell where the worktree of each session is; nothing if that cannot be told."""
    sessions = engine.ledger.all()
    if not sessions:
        return {}
    try:
        async with engine.providers.use(Role.WORKSPACE) as workspace:
            return await workspace.locate(sessions)
    except WorkspaceError as error:
        if report is not None:
            report.notes.append(str(error))
        return {}


async def reconcile(engine: Engine, report: _Report | None = None) -> None:
    """Bring every record in line with the world, where no living process owns the session."""
    report = report or _Report()
    report.notes.extend(await settle_reservations(engine))
    async with create_task_group() as tasks:
        for session in engine.ledger.all():
            if claims_a_process(session) and not engine.mine(session.id):
                tasks.start_soon(reconcile_process, engine, session, report)
    await _settle_removals(engine, report)


def claims_a_process(session: Session) -> bool:
    """Tell whether the record says that the session has a process."""
    return (
        session.pty_pid is not None
        or session.details.terminal_ref is not None
        or session.status in (SessionStatus.ACTIVE, SessionStatus.WAITING)
    )


async def succeed(engine: Engine, session_id: SessionId) -> None:
    """Go on with the process of a session once the host that runs it goes away.

    Returns when this manager runs it, when it has ended, or where it does not outlive its host.
    """
    try:
        session = engine.ledger.get(session_id)
        if session is None or engine.mine(session_id):
            return
        terminal = await adopt(engine, session)
        seen, attempts = 0, 1  # the host may have gone before this one was known to the keeper
        while terminal is not None and await _still_elsewhere(engine, session, attempts):
            seen = await terminal.departed(seen)
            attempts = _ATTEMPTS
    except TerminalClosedError:
        return
    except Exception as error:
        log.warning("session_not_succeeded", session_id=session_id, reason=error)
    finally:
        engine.awaited.pop(session_id, None)


async def _still_elsewhere(engine: Engine, session: Session, attempts: int) -> bool:
    """Try to go on with a process; tell whether another host still runs it.

    A host that dies may lose its claim after all else.
    """
    for attempt in range(attempts):
        if attempt:
            await sleep(_RETRY)
        current = engine.ledger.get(session.id)
        if current is None or current.details.terminal_ref != session.details.terminal_ref:
            return False
        if await engine.claims.holder(session.id) is Holder.FREE:
            await reconcile_process(engine, current)
        if engine.mine(session.id):
            return False
    return True


async def reconcile_process(
    engine: Engine, session: Session, report: _Report | None = None
) -> None:
    """Go on with the process of a session whose owner is gone, or make the session idle.

    What that owner left running, and nobody can go on with, is ended.
    """
    report = report or _Report()

    def transaction(newest: Snapshot) -> Changes:
        current = newest.sessions.get(session.id)
        if current is None or not claims_a_process(current):
            return Changes()
        return Changes(put=(without_process(current, SessionStatus.IDLE),))

    try:
        async with claimed_if_free(engine, session.id) as (holder, claim):
            if holder is Holder.UNKNOWN:
                called = _called(engine, session.id)
                report.notes.append(f"it cannot be told whether {called} is owned")
            elif claim is not None:
                # Looked up anew: another may have started a new process, and left, by now.
                current = (await engine.ledger.refresh()).sessions.get(session.id)
                if current is None or not claims_a_process(current):
                    return
                running = None if current.details.removing else await go_on(engine, current, claim)
                if running is not None:
                    report.adopted.append(session.id)
                    if await has_ended(running.terminal):
                        await running.ended()  # or it would pass for running until that is stored
                    return
                swept = await sweep(engine, current)
                report.swept.extend(swept.ended)
                report.notes.extend(swept.unknown)
                await engine.ledger.change(transaction, claim=claim)
    except Exception as error:
        report.notes.append(f"{_called(engine, session.id)}: {error}")
        log.warning("session_not_reconciled", session_id=session.id, reason=error)


async def settle_reservations(engine: Engine) -> list[str]:
    """Finish or undo the creations that a dead process began; return a line for each.

    Undone when nobody worked in the new worktree; else made a session, for work is never lost.
    """
    lines: list[str] = []
    for reservation in tuple(engine.ledger.snapshot.reservations.values()):
        try:
            async with claimed_if_free(engine, reservation.id) as (_, claim):
                if claim is None:
                    continue
                # Its creator may have ended only now, and well.
                newest = await engine.ledger.refresh()
                if reservation.id in newest.reservations:
                    lines.append(await _settle(engine, reservation, claim))
        except Exception as error:
            log.warning("creation_not_settled", session_id=reservation.id, reason=error)
    return lines


async def _settle(engine: Engine, reservation: Reservation, claim: Owned) -> str:
    marker = next((m for m in await remembered(engine) if m.session.id == reservation.id), None)
    session = _session_of(reservation, marker, chosen_name(engine.config, Role.TERMINAL))
    await sweep(engine, session)
    at_stake = await _discard(engine, reservation)
    finished = [without_process(session, SessionStatus.IDLE)] if at_stake else []
    if not at_stake:
        await forget(engine, session)

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


async def _settle_removals(engine: Engine, report: _Report) -> None:
    """Undo the removals that dead processes began; finish those whose worktree is gone already."""
    going = [session.id for session in engine.ledger.all() if session.details.removing]
    claimed: dict[SessionId, Owned] = {}
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


async def _settle_claimed(engine: Engine, claimed: dict[SessionId, Owned], report: _Report) -> None:
    newest = (await engine.ledger.refresh()).sessions
    going = [newest[id_] for id_ in claimed if id_ in newest and newest[id_].details.removing]
    if not going:
        return
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        # First, because it waits until what the dead processes have started is done.
        await workspace.repair()
        where = await workspace.locate(going)
    undone: list[SessionId] = []
    for session in going:
        with _noting(engine, report, session.id):
            if await _is_removed(engine, session, where[session.id]):
                await forget(engine, session)
                await engine.ledger.drop(session.id, claim=claimed[session.id])
                report.notes.append(f"finished the removal of {session.name} ({session.id})")
            else:
                kept = await engine.ledger.amend(
                    session.id, lambda s: s.detail(removing=None), claim=claimed[session.id]
                )
                undone.append(session.id)
                await engine.markers.write(kept, MarkerState.LIVE)
                report.notes.append(f"undid the removal of {session.name} ({session.id})")
    if undone:
        with _noting(engine, report, *undone):
            async with engine.providers.use(Role.WORKSPACE) as workspace:
                report.notes.extend(await workspace.repair())  # they may have lost their protection


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
def _noting(engine: Engine, report: _Report, *session_ids: SessionId) -> Iterator[None]:
    """Report an error as the reason why the removals of these sessions are not settled."""
    try:
        yield
    except Exception as error:
        for session_id in session_ids:
            report.notes.append(f"{_called(engine, session_id)}: {error}")
            log.warning("removal_not_settled", session_id=session_id, reason=error)


def _called(engine: Engine, session_id: SessionId) -> str:
    session = engine.ledger.get(session_id)
    return f"session {session.name} ({session_id})" if session else f"session {session_id}"
