"""The interface to which the engines report their findings; the flows implement it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from frith.errors import StoreError
from frith.model import Session, SessionId, Snapshot

if TYPE_CHECKING:
    from frith._engine.claims import HeldClaim


class Reactions(ABC):
    """Called by the engines. Only :meth:`rebuild` may wait."""

    @abstractmethod
    async def rebuild(self, cause: StoreError) -> Snapshot:
        """Rebuild a store that is corrupt or has vanished; return what is stored then."""

    @abstractmethod
    def state_doubted(self, snapshot: Snapshot) -> None:
        """Another program has written the stored state, or it is damaged."""

    @abstractmethod
    def session_changed(self, before: Session | None, after: Session | None) -> None:
        """Another process has created, changed or destroyed a session."""

    @abstractmethod
    def session_stored(self, session_id: SessionId) -> None:
        """Deferred changes of a session have become durable."""

    @abstractmethod
    def claim_lost(self, claim: HeldClaim) -> None:
        """A claim has ended by itself, and another host may own its session by now."""
