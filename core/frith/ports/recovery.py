"""The recovery port: a second source of truth, from which a lost store is rebuilt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from frith.model import Session, SessionId


class MarkerState(StrEnum):
    """The state of a session when its marker was written."""

    CREATING = "creating"
    """Its record is not durable yet."""
    LIVE = "live"
    REMOVING = "removing"
    """Its worktree is being removed."""
    RELEASED = "released"
    """It was destroyed and its worktree kept; no rebuild may bring it back."""


@dataclass(frozen=True, slots=True)
class Marker:
    """The marker of one session."""

    session: Session
    state: MarkerState
    complete: bool = True
    """Whether it holds the whole record, or only what the worktree itself tells."""


class SessionRecovery(ABC):
    """Keeps markers of sessions outside the store, from which a lost store is rebuilt."""

    @abstractmethod
    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        """Write or replace the marker of ``session``.

        If the worktree of the session is gone, nothing is written; that is not an error.

        Args:
            session: the session.
            state: the state to write.
            durable: whether the marker must survive a power cut when this returns. Without it,
                an older marker may be found after a power cut, never a broken one, and a marker
                with the state ``removing`` or ``released`` stays as it is.
        """

    @abstractmethod
    async def forget(self, session_id: SessionId) -> None:
        """Remove the marker of a session whose creation was undone, if there is one."""

    @abstractmethod
    async def rebuild(self) -> Sequence[Marker]:
        """Return all markers, in the order in which their sessions were created.

        Each session's ``worktree_path`` is where its worktree is now. A marker that cannot be
        read is reported as incomplete, never left out and never deleted.
        """
