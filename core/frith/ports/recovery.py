"""The recovery port: a second source of truth, from which a lost store is rebuilt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from frith.model import Session, SessionId


class MarkerState(StrEnum):
    """How far the life of a session had come when its marker was written."""

    CREATING = "creating"
    """Its record is not durable yet."""
    LIVE = "live"
    REMOVING = "removing"
    """Its worktree is being removed."""
    RELEASED = "released"
    """It was destroyed and its worktree kept; it must not come back."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What recovery remembers of one session."""

    session: Session
    state: MarkerState
    complete: bool = True
    """Whether all of the record was remembered, or only what the worktree itself tells."""


class SessionRecovery(ABC):
    """Remembers sessions beside the store, and gives them back."""

    @abstractmethod
    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        """Write or replace the marker of ``session``.

        A session whose worktree is gone is not remembered; that is no error.

        Args:
            durable: whether it must survive a power cut when this returns. Without it this is
                an update: after a power cut an older marker may be found, never a broken one,
                and one that says ``removing`` or ``released`` stays as it is.
        """

    @abstractmethod
    async def forget(self, session_id: SessionId) -> None:
        """Remove the marker of a session whose creation was undone; no error if there is none."""

    @abstractmethod
    async def rebuild(self) -> Sequence[Marker]:
        """Return everything that is remembered, in the order of creation.

        Each session's ``worktree_path`` is where its worktree is now. A marker that cannot be
        read is reported as incomplete, never left out and never deleted.
        """
