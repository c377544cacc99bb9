"""Several changes as one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from anyio import Event

from spinney.model import Changes, Reservation, Session, SessionId, Snapshot
from spinney.ports import Transaction


@dataclass(slots=True)
class Pending:
    """One caller's change, waiting for its commit."""

    fn: Transaction
    verifies: bool = False
    """Whether it checks a doubtful state itself, so that nobody else need do it."""
    decided: Event = field(default_factory=Event)
    error: Exception | None = None
    changes: Changes = Changes()


class Batch:
    """Several changes as one transaction; each sees what those before it did."""

    def __init__(self, pending: Iterable[Pending]) -> None:
        self._pending = tuple(pending)
        self.changes = Changes()
        self.found: Mapping[SessionId, Session] = MappingProxyType({})
        """The sessions as they were before these changes."""

    def __call__(self, snapshot: Snapshot) -> Changes:
        self.found = snapshot.sessions
        sessions = dict(snapshot.sessions)
        reservations = dict(snapshot.reservations)
        view = Snapshot(
            MappingProxyType(sessions),
            MappingProxyType(reservations),
            snapshot.revision,
            snapshot.integrity,
        )
        total = _Total()
        for item in self._pending:
            item.error, item.changes = None, Changes()
            try:
                item.changes = item.fn(view)
            except Exception as error:
                item.error = error
                continue
            total.add(item.changes)
            for session_id in item.changes.delete:
                sessions.pop(session_id, None)
            sessions.update((session.id, session) for session in item.changes.put)
            for session_id in item.changes.release:
                reservations.pop(session_id, None)
            reservations.update((r.id, r) for r in item.changes.reserve)
        self.changes = total.changes()
        return self.changes

    def again(self, snapshot: Snapshot) -> Changes:
        """As the first call, but where its outcome is found stored, write just that again."""
        stored = (
            all(snapshot.sessions.get(s.id) == s for s in self.changes.put)
            and all(snapshot.reservations.get(r.id) == r for r in self.changes.reserve)
            and not self.changes.delete & snapshot.sessions.keys()
            and not self.changes.release & snapshot.reservations.keys()
        )
        return self.changes if stored else self(snapshot)


class _Total:
    """Sums up changes."""

    def __init__(self) -> None:
        self._put: dict[SessionId, Session] = {}
        self._delete: set[SessionId] = set()
        self._reserve: dict[SessionId, Reservation] = {}
        self._release: set[SessionId] = set()

    def add(self, changes: Changes) -> None:
        for session_id in changes.delete:
            self._put.pop(session_id, None)
            self._delete.add(session_id)
        for session in changes.put:
            self._put[session.id] = session
            self._delete.discard(session.id)
        for session_id in changes.release:
            self._reserve.pop(session_id, None)
            self._release.add(session_id)
        for reservation in changes.reserve:
            self._reserve[reservation.id] = reservation
            self._release.discard(reservation.id)

    def changes(self) -> Changes:
        return Changes(
            tuple(self._put.values()),
            frozenset(self._delete),
            tuple(self._reserve.values()),
            frozenset(self._release),
        )
