"""Sessions that count transactions, so that a lost update shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frith.model import Changes, Session, Snapshot
from frith.ports import Transaction
from frith_testing.harness.samples import a_session

SHARED = "shared"
"""Name of the session in which every transaction is counted."""


@dataclass(frozen=True, slots=True)
class State:
    """The content of one revision."""

    revision: int
    count: int
    """The number of transactions in the shared session."""
    last: str
    """The attempt that made the revision."""
    own: tuple[int, ...]
    """The number of transactions of each writer, in its own session."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> State:
        """Return the state in ``snapshot``.

        Raises:
            LookupError: the sessions or their metadata are missing.
        """
        found = {session.name: _metadata(session) for session in snapshot.sessions.values()}
        if SHARED not in found:
            raise LookupError(f"sessions are gone, {len(found)} are left")
        shared = found[SHARED]
        own = [found[own_name(writer)]["count"] for writer in range(len(found) - 1)]
        return cls(snapshot.revision, shared["count"], shared["last"], tuple(own))

    def after(self, attempt: str, writer: int) -> State:
        """Return the state after ``attempt`` of ``writer``."""
        own = tuple(count + (index == writer) for index, count in enumerate(self.own))
        return State(self.revision + 1, self.count + 1, attempt, own)


def own_name(writer: int) -> str:
    """Return the name of the session in which only ``writer`` counts."""
    return f"writer-{writer}"


def beginning(writers: int) -> Changes:
    """Return the changes that store the first state."""
    own = (a_session(name=own_name(i), metadata={"count": 0}) for i in range(writers))
    return Changes(put=(a_session(name=SHARED, metadata={"count": 0, "last": ""}), *own))


def counting(writer: int, attempt: str, tell: Callable[[State], object]) -> Transaction:
    """Return the transaction ``attempt`` of ``writer``; it passes what it sees to ``tell``."""

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
