"""A state that shows whether an update was lost: a count for each writer, and one of them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frith.model import Changes, Session, Snapshot
from frith.ports import Transaction
from frith_testing.harness.samples import a_session

SHARED = "shared"
"""Name of the session that every transaction counts up."""


@dataclass(frozen=True, slots=True)
class State:
    """What one revision holds."""

    revision: int
    count: int
    """Transactions so far, as the shared session counts them."""
    last: str
    """The attempt that made it."""
    own: tuple[int, ...]
    """Transactions of each writer, as its own session counts them."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> State:
        """Return the state that ``snapshot`` holds.

        Raises:
            LookupError: it holds none, not even that before the first transaction.
        """
        found = {session.name: _metadata(session) for session in snapshot.sessions.values()}
        if SHARED not in found:
            raise LookupError(f"sessions are gone, {len(found)} are left")
        shared = found[SHARED]
        own = [found[own_name(writer)]["count"] for writer in range(len(found) - 1)]
        return cls(snapshot.revision, shared["count"], shared["last"], tuple(own))

    def after(self, attempt: str, writer: int) -> State:
        """Return the state that ``attempt`` of ``writer`` makes of this one."""
        own = tuple(count + (index == writer) for index, count in enumerate(self.own))
        return State(self.revision + 1, self.count + 1, attempt, own)


def own_name(writer: int) -> str:
    """Return the name of the session that ``writer`` alone counts up."""
    return f"writer-{writer}"


def beginning(writers: int) -> Changes:
    """Return the changes that make the first state."""
    own = (a_session(name=own_name(i), metadata={"count": 0}) for i in range(writers))
    return Changes(put=(a_session(name=SHARED, metadata={"count": 0, "last": ""}), *own))


def counting(writer: int, attempt: str, tell: Callable[[State], object]) -> Transaction:
    """Return the transaction ``attempt`` of ``writer``; it tells what it sees before it counts."""

    def count(newest: Snapshot) -> Changes:
        seen = State.of(newest)
        tell(seen)
        by_name = {session.name: session for session in newest.sessions.values()}
        shared = {"count": seen.count + 1, "last": attempt}
        own = {"count": seen.own[writer] + 1}
        return Changes(
            put=(
                by_name[SHARED].evolve(metadata=shared),
                by_name[own_name(writer)].evolve(metadata=own),
            )
        )

    return count


def _metadata(session: Session) -> dict[str, Any]:
    if not isinstance(session.metadata, dict):
        raise LookupError(f"the metadata of {session.name} did not come back")  # noqa: TRY004
    return session.metadata
