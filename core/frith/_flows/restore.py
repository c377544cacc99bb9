"""The start of a manager: load the sessions, and reconcile records, owners and worktrees."""

from __future__ import annotations

import time

from anyio import create_task_group

from frith._engine.context import Engine
from frith._flows.rebuild import protect, read_markers, recover, verify
from frith._flows.takeover import (
    Report,
    await_takeover,
    label,
    reconcile_process,
    seems_running,
)
from frith._flows.unfinished import settle_removals, settle_reservations
from frith._flows.update import write_marker
from frith.errors import CorruptStoreError, FrithError, WorkspaceError
from frith.events import SessionsRestored
from frith.logs import log
from frith.model import Integrity, Session, SessionId, Snapshot
from frith.ports import Location, Marker, MarkerState, Presence
from frith.providers import Role


async def start(engine: Engine, *, restore: bool) -> None:
    """Load the sessions, and restore them if asked, or if the stored state is damaged."""
    if restore:
        engine.processes.takes_over = True
        await _restore(engine)
        engine.follow()
        for session in engine.ledger.all():
            await_takeover(engine, session)
        return
    try:
        integrity = (await engine.ledger.load()).integrity
    except CorruptStoreError:
        integrity = Integrity.MISSING
    if integrity is not Integrity.VERIFIED:
        await _restore(engine)


async def reload(engine: Engine) -> tuple[Session, ...]:
    """Load the stored sessions, reconcile and return them."""
    await engine.ledger.refresh()
    await reconcile(engine, Report())
    return engine.ledger.all()


async def _load(engine: Engine) -> Snapshot:
    """Load the stored state; rebuild it where it is missing or corrupt.

    Raises:
        StoreMismatchError: the sessions of the workspace are kept in another store.
    """
    await engine.ledger.binding.check()
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


async def _restore(engine: Engine) -> None:
    """Load the sessions; clear what dead owners left; finish or undo what they began."""
    started = time.monotonic()
    report = Report()
    if (await _load(engine)).sessions:
        await engine.ledger.binding.check(write=True)
    await reconcile(engine, report)
    await _refresh_markers(engine)
    where = await locations(engine, report)
    for session_id in _those(where, Presence.REDIRECTED):
        report.notes.append(f"{label(engine, session_id)}: {where[session_id].reason}")
    await engine.hooks.notify(
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


async def reconcile(engine: Engine, report: Report) -> None:
    """Reconcile every record whose session no living process owns with processes and worktrees."""
    report.notes.extend(await settle_reservations(engine))
    async with create_task_group() as tasks:
        for session in engine.ledger.all():
            if seems_running(session) and not engine.processes.owned(session.id):
                tasks.start_soon(reconcile_process, engine, session, report)
    await settle_removals(engine, report)


async def _refresh_markers(engine: Engine) -> None:
    """Update markers that a dead host did not write after its last changes."""
    if not engine.ledger.all():
        return
    try:
        markers = {marker.session.id: marker for marker in await read_markers(engine)}
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


async def locations(engine: Engine, report: Report) -> dict[SessionId, Location]:
    """Return where the worktree of each session is; empty, with a note, if that fails."""
    sessions = engine.ledger.all()
    if not sessions:
        return {}
    try:
        async with engine.providers.use(Role.WORKSPACE) as workspace:
            return await workspace.locate(sessions)
    except WorkspaceError as error:
        report.notes.append(str(error))
        return {}
