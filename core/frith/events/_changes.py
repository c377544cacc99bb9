"""What :meth:`SessionManager.changes <frith.SessionManager.changes>` yields."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from frith.model import Session, SessionStatus
from frith.records import Recorded


class ChangeKind(StrEnum):
    """What has happened to a session; several at once are one change."""

    CREATED = "created"
    UPDATED = "updated"
    """Any change of the record of a session that stays."""
    EXITED = "exited"
    """Its process has ended."""
    WAITING = "waiting"
    """It began to wait for the user, or asks anew."""
    STUCK = "stuck"
    """Its process has been silent for long, and does not wait for the user."""
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Cursor(Recorded):
    """A place in the changes of a workspace, from which a reader can go on."""

    store: str
    """Identity of the store: ``SessionStore.identity``."""
    revision: int
    """Revision of the store up to which the reader has seen everything."""


@dataclass(frozen=True, slots=True)
class AllSessions(Recorded):
    """All sessions at one moment: the reader forgets what it knew."""

    sessions: tuple[Session, ...]
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class SessionChange(Recorded):
    """The difference between what a reader has seen last of a session, and what there is now."""

    before: Session | None
    """``None`` if it is new to the reader."""
    after: Session | None
    """``None`` if it is gone."""
    cursor: Cursor

    @property
    def session(self) -> Session:
        """The session as it is, or as it was last."""
        return self.after or cast("Session", self.before)

    @property
    def kinds(self) -> frozenset[ChangeKind]:
        """What has happened."""
        before, after = self.before, self.after
        if after is None:
            kinds = {ChangeKind.DESTROYED}
        else:
            kinds = {ChangeKind.CREATED if before is None else ChangeKind.UPDATED}
            if _asks_anew(before, after):
                kinds.add(ChangeKind.WAITING)
            if after.details.stuck_since not in (None, before and before.details.stuck_since):
                kinds.add(ChangeKind.STUCK)
        if _process_of(before) not in (None, _process_of(after)):
            kinds.add(ChangeKind.EXITED)
        return frozenset(kinds)

    @classmethod
    def derived_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of :attr:`kinds`."""
        return {"kinds": {"type": "array", "items": {"enum": list(ChangeKind)}}}


class ChangeReader(ABC):
    """Yields all sessions, then what has changed since it yielded last."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[AllSessions | SessionChange]:
        """Yield until the manager closes; what has been yielded is not yielded again."""

    @property
    @abstractmethod
    def has_next(self) -> bool:
        """Whether the next item is there already."""


def _process_of(session: Session | None) -> object:
    """Return what identifies the process of a session; ``None`` if it has none."""
    if session is None or session.pty_pid is None:
        return None
    return session.pty_pid, session.details.terminal_ref


def _asks_anew(before: Session | None, after: Session) -> bool:
    if after.status is not SessionStatus.WAITING:
        return False
    if before is None or before.status is not SessionStatus.WAITING:
        return True
    known, found = before.evidence, after.evidence
    if known is None or found is None:
        return False
    return found.since != known.since or found.message not in (None, known.message)
