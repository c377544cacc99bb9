"""Several changes as one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from anyio import Event

from frith._engine.claims import Owned
from frith.model import Changes, Commit, Reservation, Session, SessionId, Snapshot
from frith.ports import Transaction


@dataclass(slots=True)
class Pending:
    """One caller's change, waiting for its commit."""

    fn: Transaction
    claim: Owned | None = None
    """The ownership that it needs, if any."""
    verifies: bool = False
    """Whether it checks a doubtful state itself, so that nobody else need do it."""
    decided: Event = field(default_factory=Event)
    error: Exception | None = None
    changes: Changes = Changes()


class Batch:
    """Several changes as one transaction; each sees what those before it did."""

    def __init__(self, pending: Iterable[Pending], commit: Commit) -> None:
        self._pending = tuple(pending)
        self._commit = commit
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
                if item.claim is not None:
                    item.claim.check(snapshot)
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
        self.changes = replace(total.changes(), commit=self._commit)
        return self.changes

    def again(self, snapshot: Snapshot) -> Changes:
        """As the first call; if that is stored already, write what it left of it once more.

        To write it again makes it durable, which the commit of unknown outcome may not be. What
        others have changed since stays as they left it.
        """
        if snapshot.commits.get(self._commit.host) != self._commit.id:
            return self(snapshot)
        made, stored = self.changes, snapshot.sessions
        ours: dict[SessionId, Session | None] = dict.fromkeys(made.delete)
        ours.update((session.id, session) for session in made.put)
        found = dict(stored)
        for session_id in (id_ for id_, session in ours.items() if stored.get(id_) == session):
            found.pop(session_id, None)
            if session_id in self.found:
                found[session_id] = self.found[session_id]
        self.found = found
        return Changes(
            put=tuple(stored[session.id] for session in made.put if session.id in stored),
            delete=made.delete - stored.keys(),
            reserve=tuple(
                snapshot.reservations[r.id] for r in made.reserve if r.id in snapshot.reservations
            ),
            release=made.release - snapshot.reservations.keys(),
            commit=self._commit,
        )


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
