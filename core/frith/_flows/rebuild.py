"""Rebuilding the sessions from records and markers."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from frith._engine.context import Engine
from frith._flows.update import write_marker
from frith.errors import CorruptStoreError, FrithError, StoreError
from frith.events import SessionsRecovered, StoreCorrupted
from frith.logs import log
from frith.model import Changes, Integrity, Reservation, Session, SessionId, Snapshot
from frith.ports import Holder, Marker, MarkerState, Transaction
from frith.providers import Capability, Role

_IDENTITY = ("id", "name", "branch", "worktree_path", "created_at")


@dataclass(frozen=True, slots=True)
class Merged:
    """The sessions according to records and markers."""

    sessions: Mapping[SessionId, Session]
    corrected: frozenset[SessionId]
    """Sessions that the records lacked, or had in another form."""
    incomplete: frozenset[SessionId]


def merge(
    records: Iterable[Session],
    markers: Sequence[Marker],
    *,
    resurrect: bool = True,
    abandoned: Container[SessionId] = (),
    reserved: Container[SessionId] = (),
) -> Merged:
    """Merge records and markers.

    The identity of a session (id, name, branch, worktree, creation) is taken from a complete
    marker, everything else from the record if there is one. A session that was destroyed does
    not come back; a record without a marker stays, unless its worktree belongs to another id.

    Args:
        records: the sessions that could be read from the store.
        markers: all markers.
        resurrect: whether a live marker without a record makes a session.
        abandoned: sessions whose creator died; they become sessions, because they may hold work.
        reserved: sessions that are being created: their worktrees may have no marker yet.
    """
    records = tuple(records)
    by_id = {record.id: record for record in records}
    by_path = {record.worktree_path: record for record in records}
    marked_ids = {marker.session.id for marker in markers}
    sessions: dict[SessionId, Session] = {}
    corrected: set[SessionId] = set()
    for marker in markers:
        marked = marker.session
        record = by_id.get(marked.id)
        if marker.state is MarkerState.RELEASED:
            continue
        if marker.state is MarkerState.CREATING and marked.id not in abandoned:
            if record is not None:
                sessions[record.id] = record
            continue
        if record is None and not marker.complete and marked.id in reserved:
            continue
        if record is None:
            garbled = by_path.get(marked.worktree_path)
            if garbled is not None and garbled.id not in marked_ids:
                record = garbled
        if record is None and not resurrect:
            continue
        session = _combined(record, marker)
        sessions[session.id] = session
        if session != record:
            corrected.add(session.id)
    occupied = {session.worktree_path for session in sessions.values()}
    for record in records:
        if record.id not in marked_ids and record.worktree_path not in occupied:
            sessions[record.id] = record
    incomplete = {m.session.id for m in markers if not m.complete and m.session.id in sessions}
    return Merged(sessions, frozenset(corrected), frozenset(incomplete))


def _combined(record: Session | None, marker: Marker) -> Session:
    marked = marker.session
    if record is None:
        return marked
    if not marker.complete:
        return record
    session = record.evolve(**{name: getattr(marked, name) for name in _IDENTITY})
    if record.details.command is None and record.details.terminal is None:
        session = session.evolve(details=marked.details)
    return session


async def read_markers(engine: Engine) -> Sequence[Marker]:
    """Return all markers."""
    async with engine.providers.use(Role.RECOVERY) as recovery:
        return await recovery.rebuild()


async def _creators(
    engine: Engine, markers: Sequence[Marker]
) -> tuple[list[Session], set[SessionId]]:
    """Return the sessions that are being created, and the ids of those whose creator died."""
    alive: list[Session] = []
    abandoned: set[SessionId] = set()
    for marker in markers:
        if marker.state is MarkerState.CREATING:
            if await engine.claims.holder(marker.session.id) is Holder.FREE:
                abandoned.add(marker.session.id)
            else:
                alive.append(marker.session)
    return alive, abandoned


async def recover(engine: Engine, cause: StoreError | None) -> Snapshot:
    """Rebuild the store; ``cause`` is its error, ``None`` if nothing is stored.

    Uses the store directly, because the ledger calls it while it holds its own lock.
    """
    started = time.monotonic()
    known = engine.ledger.snapshot
    markers = await read_markers(engine)
    records = list(known.sessions.values())
    corrupt = cause if isinstance(cause, CorruptStoreError) else None
    if corrupt:
        _check_repairable(engine, corrupt)
        records = _newest(_overtaken(corrupt.earlier, markers), records, corrupt.salvage)
        await engine.hooks.notify(
            StoreCorrupted(workspace=engine.workspace, where=corrupt.where, reason=corrupt.reason)
        )
    alive, abandoned = await _creators(engine, markers)
    merged = merge(records, markers, abandoned=abandoned, reserved=known.reservations)
    if merged.sessions or cause:
        await engine.ledger.binding.ensure()
    reservations = {session.id: _reservation(session) for session in alive}
    reservations.update(known.reservations)
    snapshot = Snapshot(
        MappingProxyType(dict(merged.sessions)), MappingProxyType(reservations), known.revision
    )
    async with engine.providers.use(Role.STORE) as store:
        committed = await store.replace_corrupt(corrupt.token, snapshot) if corrupt else None
        # If the corrupt content was deleted meanwhile, nothing is replaced.
        if committed is None or committed.snapshot.integrity is Integrity.MISSING:
            committed = await store.transact(_unless_stored(snapshot))
    if merged.sessions or cause is not None:
        await engine.hooks.notify(
            SessionsRecovered(
                workspace=engine.workspace,
                sessions=tuple(committed.snapshot.sessions.values()),
                reason=str(corrupt) if corrupt else "The stored state was missing.",
                incomplete=tuple(merged.incomplete),
                duration=time.monotonic() - started,
            )
        )
    return committed.snapshot


def _check_repairable(engine: Engine, corrupt: CorruptStoreError) -> None:
    """Check that the store can replace what is corrupt.

    Raises:
        CorruptStoreError: it cannot; the message says what to do instead.
    """
    name = engine.config.store
    if not engine.providers.can(Role.STORE, name, Capability.REPAIR):
        remedy = (
            f"The store {name!r} cannot be repaired from here: restore it from a backup, or empty "
            "it. When it is empty, the sessions are rebuilt from the worktrees."
        )
        raise CorruptStoreError(corrupt.where, corrupt.reason, remedy=remedy) from corrupt


def _reservation(session: Session) -> Reservation:
    return Reservation(
        id=session.id,
        name=session.name,
        branch=session.branch,
        worktree_path=session.worktree_path,
        creates_branch=False,
        created_at=session.created_at,
    )


def _overtaken(earlier: Iterable[Session], markers: Iterable[Marker]) -> list[Session]:
    """Return the sessions of an earlier state, each from its marker unless that is older.

    At a tie the marker is newer, because it follows the store and the earlier state does not.
    Fields of other programs, which write only to the store, are kept.
    """
    whole = {marker.session.id: marker.session for marker in markers if marker.complete}

    def newer(session: Session) -> Session:
        other = whole.get(session.id, session)
        if other.last_activity < session.last_activity:
            return session
        return other.evolve(**{**(session.model_extra or {}), **(other.model_extra or {})})

    return [newer(session) for session in earlier]


def _newest(*several: Iterable[Session]) -> list[Session]:
    newest: dict[SessionId, Session] = {}
    for sessions in several:
        for session in sessions:
            other = newest.get(session.id)
            if other is None or session.last_activity >= other.last_activity:
                newest[session.id] = session
    return list(newest.values())


def _unless_stored(snapshot: Snapshot) -> Transaction:
    def transaction(found: Snapshot) -> Changes:
        if found.integrity is not Integrity.MISSING:
            return Changes()
        return Changes(
            put=tuple(snapshot.sessions.values()),
            reserve=tuple(snapshot.reservations.values()),
        )

    return transaction


async def verify(engine: Engine, snapshot: Snapshot) -> Snapshot:
    """Merge a state that was edited or damaged with the markers, and store the result.

    The state of another program is accepted, and corrected by the markers. If the checksum is
    wrong, sessions that only the markers know are added, too.
    """
    markers = await read_markers(engine)
    damaged = snapshot.integrity is Integrity.MISMATCH
    if damaged:
        await engine.hooks.notify(
            StoreCorrupted(
                workspace=engine.workspace,
                where=engine.workspace,
                reason="the checksum does not match: edited by hand, or damaged",
            )
        )

    def transaction(newest: Snapshot) -> Changes:
        merged = merge(
            newest.sessions.values(), markers, resurrect=damaged, reserved=newest.reservations
        )
        return Changes(
            put=tuple(merged.sessions.values()),
            delete=frozenset(newest.sessions.keys() - merged.sessions.keys()),
        )

    return await engine.ledger.change(transaction, verifies=True)


async def rebuild(engine: Engine, dry_run: bool) -> tuple[Session, ...]:
    """Add and correct sessions by the markers; return those added or corrected."""
    markers = await read_markers(engine)
    reserved = (await engine.ledger.refresh()).reservations
    _, abandoned = await _creators(engine, markers)
    abandoned -= reserved.keys()
    found: list[Session] = []

    def transaction(newest: Snapshot) -> Changes:
        merged = merge(
            newest.sessions.values(), markers, abandoned=abandoned, reserved=newest.reservations
        )
        found[:] = [merged.sessions[session_id] for session_id in merged.corrected]
        return Changes(put=tuple(found))

    if dry_run:
        transaction(engine.ledger.snapshot)
    else:
        await engine.ledger.change(transaction)
        for session in found:
            await write_marker(engine, session.id)
        if found:
            await protect(engine)
    return tuple(found)


async def protect(engine: Engine) -> None:
    """Write the markers of rebuilt sessions, and lock their worktrees against pruning."""
    await engine.markers.flush()
    try:
        async with engine.providers.use(Role.WORKSPACE) as workspace:
            await workspace.repair()
    except FrithError as error:
        log.warning("worktrees_not_protected", reason=str(error))
