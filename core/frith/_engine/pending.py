"""Changes that wait for the next commit, and the transaction that applies all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

from anyio import Event

from frith._engine.claims import HeldClaim
from frith.errors import ClaimLostError
from frith.logs import log
from frith.model import Changes, Commit, Session, SessionId, Snapshot
from frith.ports import Transaction

Amendment: TypeAlias = Callable[[Session], Session]
"""A pure function of the newest record of one session."""

Key: TypeAlias = tuple[SessionId, str]
"""A session, and the kind of a deferred change."""


@dataclass(slots=True, eq=False)
class Pending:
    """The change of one caller."""

    fn: Transaction
    claim: HeldClaim | None = None
    """The claim that it needs, if any."""
    verifies: bool = False
    """Whether it checks a doubtful state itself, so that no other check is needed."""
    error: Exception | None = None


class Batch:
    """Several changes as one transaction; each sees the results of those before it."""

    def __init__(self, pending: Iterable[Pending], commit: Commit) -> None:
        self._pending = tuple(pending)
        self._commit = commit
        self.changes = Changes()
        self.found: Mapping[SessionId, Session] = MappingProxyType({})
        """The sessions as they were before these changes."""

    def __call__(self, snapshot: Snapshot) -> Changes:
        self.found = snapshot.sessions
        view = snapshot
        sessions: dict[SessionId, None] = {}
        reservations: dict[SessionId, None] = {}
        for item in self._pending:
            item.error = None
            try:
                if item.claim is not None:
                    item.claim.check(snapshot)
                made = item.fn(view)
            except Exception as error:
                item.error = error
                continue
            if not made:
                continue
            sessions |= dict.fromkeys((*made.delete, *(session.id for session in made.put)))
            reservations |= dict.fromkeys((*made.release, *(r.id for r in made.reserve)))
            after = made.apply(view)
            view = replace(after, revision=snapshot.revision, integrity=snapshot.integrity)
        self.changes = Changes(
            put=tuple(view.sessions[s] for s in sessions if s in view.sessions),
            delete=frozenset(s for s in sessions if s not in view.sessions),
            reserve=tuple(view.reservations[r] for r in reservations if r in view.reservations),
            release=frozenset(r for r in reservations if r not in view.reservations),
            commit=self._commit,
        )
        return self.changes

    def again(self, snapshot: Snapshot) -> Changes:
        """As the first call; if that is stored already, write what is left of it once more.

        The commit of unknown outcome may not be durable; writing it again makes it so. What others
        have changed since stays as they left it.
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


class Deferred:
    """Changes that memory has and the store does not have yet: of each kind the newest."""

    def __init__(self) -> None:
        self._waiting: dict[Key, _DeferredChange] = {}
        self._committing: dict[Key, _DeferredChange] = {}
        self._added = Event()
        self.refusal: Exception | None = None
        """Why a deferred change could not be stored with the last commit."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, key: Key, fn: Amendment, claim: HeldClaim | None) -> bool:
        """Defer a change; return whether it may be stored: not if its claim is lost."""
        change = _DeferredChange(fn, claim)
        if change.is_lost:
            return False
        self._waiting[key] = change
        self._added.set()
        return True

    def cancel(self, key: Key) -> None:
        """Drop that kind of change, also if the commit that is under way refuses it."""
        self._waiting.pop(key, None)
        self._committing.pop(key, None)

    def drop(self, claim: HeldClaim) -> None:
        """Drop the changes that need a claim, which is lost."""
        self._waiting = {k: change for k, change in self._waiting.items() if change.claim != claim}

    async def wait(self) -> None:
        """Wait until a change is deferred that was not when this returned last."""
        await self._added.wait()
        self._added = Event()

    def applied_to(self, sessions: Mapping[SessionId, Session]) -> dict[SessionId, Session]:
        """Return those of ``sessions`` that deferred changes are for, with these changes."""
        changed: dict[SessionId, Session] = {}
        for (session_id, _), change in self._waiting.items():
            session = changed.get(session_id) or sessions.get(session_id)
            if session is not None:
                changed[session_id] = change.fn(session)
        return changed

    def take(self) -> dict[Key, Pending]:
        """Return the changes, to be stored with the next commit; :meth:`settle` must follow."""
        self._committing, self._waiting = self._waiting, {}
        return {
            key: Pending(_amend_if_there(key[0], change.fn), change.claim)
            for key, change in self._committing.items()
        }

    def settle(self, taken: dict[Key, Pending]) -> frozenset[SessionId]:
        """Defer again what was not stored, each for its own error, unless it never can be.

        Returns the sessions of which something was stored.
        """
        self.refusal = None
        left: dict[Key, _DeferredChange] = {}
        for key, item in taken.items():
            change = self._committing.get(key)
            if item.error is None or change is None:
                continue
            if isinstance(item.error, ClaimLostError) or change.is_lost:
                log.warning("change_dropped", session_id=key[0], reason=str(item.error))
            else:
                left[key], self.refusal = change, item.error
        self._waiting = left | self._waiting
        if self._waiting:
            self._added.set()
        return frozenset(key[0] for key, item in taken.items() if item.error is None)


@dataclass(frozen=True, slots=True)
class _DeferredChange:
    fn: Amendment
    claim: HeldClaim | None

    @property
    def is_lost(self) -> bool:
        """Whether it may never be stored."""
        return self.claim is not None and self.claim.is_lost


def _amend_if_there(session_id: SessionId, fn: Amendment) -> Transaction:
    def transaction(snapshot: Snapshot) -> Changes:
        old = snapshot.sessions.get(session_id)
        if old is None:
            return Changes()
        new = fn(old)
        return Changes() if new == old else Changes(put=(new,))

    return transaction
