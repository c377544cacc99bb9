"""Changes that memory has and the store does not have yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from anyio import Event

from frith._engine.batch import Pending
from frith._engine.claims import Owned
from frith.errors import ClaimLostError
from frith.logs import log
from frith.model import Changes, Session, SessionId, Snapshot
from frith.ports import Transaction

Amendment: TypeAlias = Callable[[Session], Session]
"""A pure function of the newest record of one session."""

Key: TypeAlias = tuple[SessionId, str]
"""A session, and the kind of change that is owed to it."""


@dataclass(frozen=True, slots=True)
class _Owed:
    fn: Amendment
    claim: Owned | None

    @property
    def is_lost(self) -> bool:
        """Whether it may never be stored."""
        return self.claim is not None and self.claim.is_lost


class Owing:
    """What is owed to the store: of each kind of change the newest."""

    def __init__(self) -> None:
        """Owe nothing yet."""
        self._owed: dict[Key, _Owed] = {}
        self._on_the_way: dict[Key, _Owed] = {}
        self._some = Event()
        self.refusal: Exception | None = None
        """Why something that was owed could not be stored with the last commit."""

    def __bool__(self) -> bool:
        return bool(self._owed)

    def add(self, key: Key, fn: Amendment, claim: Owned | None) -> bool:
        """Owe a change, and return whether it may be stored: not if what it needs is lost."""
        owed = _Owed(fn, claim)
        if owed.is_lost:
            return False
        self._owed[key] = owed
        self._some.set()
        return True

    def forgive(self, key: Key) -> None:
        """Owe that kind of change no more, not even if it is refused now."""
        self._owed.pop(key, None)
        self._on_the_way.pop(key, None)

    def forget(self, claim: Owned) -> None:
        """Owe nothing any more that needs an ownership which is lost."""
        self._owed = {key: owed for key, owed in self._owed.items() if owed.claim is not claim}

    async def wait(self) -> None:
        """Wait until something is owed that was not when this returned last."""
        await self._some.wait()
        self._some = Event()

    def apply(self, sessions: dict[SessionId, Session]) -> None:
        """Change ``sessions`` as is owed to them."""
        for (session_id, _), owed in self._owed.items():
            if session_id in sessions:
                sessions[session_id] = owed.fn(sessions[session_id])

    def due(self) -> dict[Key, Pending]:
        """Return what is owed, to be stored with the next commit; :meth:`settle` must follow."""
        self._on_the_way, self._owed = self._owed, {}
        return {
            key: Pending(_amend_if_there(key[0], owed.fn), owed.claim)
            for key, owed in self._on_the_way.items()
        }

    def settle(self, due: dict[Key, Pending]) -> frozenset[SessionId]:
        """Owe on what was not stored, each for its own error, but for what may never be.

        Returns the sessions of which something was stored.
        """
        self.refusal = None
        left: dict[Key, _Owed] = {}
        for key, item in due.items():
            owed = self._on_the_way.get(key)
            if item.error is None or owed is None:
                continue
            if isinstance(item.error, ClaimLostError) or owed.is_lost:
                log.warning("change_dropped", session_id=key[0], reason=str(item.error))
            else:
                left[key], self.refusal = owed, item.error
        self._owed = left | self._owed
        if self._owed:
            self._some.set()
        return frozenset(key[0] for key, item in due.items() if item.error is None)


def _amend_if_there(session_id: SessionId, fn: Amendment) -> Transaction:
    def transaction(snapshot: Snapshot) -> Changes:
        old = snapshot.sessions.get(session_id)
        if old is None:
            return Changes()
        new = fn(old)
        return Changes() if new == old else Changes(put=(new,))

    return transaction
