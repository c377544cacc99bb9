"""The store port: durable sessions, and claims on them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from frith.errors import UnsupportedCapabilityError
from frith.model import Changes, SessionId, Snapshot

Transaction: TypeAlias = Callable[[Snapshot], Changes]
"""A pure function of the newest state. It may run more than once and in any thread; what it
raises aborts the transaction and reaches the caller of ``transact`` unchanged."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome of a transaction."""

    snapshot: Snapshot
    """The state after it. Its ``integrity`` tells what the transaction found, not what it left."""
    revision: int
    """The revision now stored."""

    @classmethod
    def of(cls, found: Snapshot, changes: Changes) -> Committed:
        """Return the outcome of a transaction that ``found`` a state and made ``changes``."""
        after = changes.apply(found)
        return cls(replace(after, integrity=found.integrity), after.revision)


class Holder(StrEnum):
    """Whether somebody holds the claim on a session."""

    HELD = "held"
    EXPIRED = "expired"
    """The lease of its holder has run out, and no host has taken it. The holder may still run:
    only a claim tells whether it can be taken."""
    FREE = "free"
    UNKNOWN = "unknown"
    """Cannot be told; whoever asks must act as if it were held."""


@dataclass(slots=True)
class Claim:
    """Proof of owning a session while its context is open."""

    session_id: SessionId
    fence: int
    """Grows with every claim on the same session, across processes."""
    is_doubtful: bool = False
    """Whether the store cannot tell now that it is still held. The store sets it, and resets it
    once it can; a claim that was taken by another is lost instead, and its context ends."""


class SessionStore(ABC):
    """Keeps sessions durably, for any number of processes at once.

    One that serves a single process does not declare ``Capability.MULTI_PROCESS``, and refuses
    to be opened by a second one with :class:`~frith.errors.UnsupportedCapabilityError`.
    """

    @property
    @abstractmethod
    def identity(self) -> str:
        """Which store this is, among all that could keep the sessions of the same workspace.

        Its kind and place, such as ``json:.claude-container-sessions.json``: the same for every
        process that opens it, also after the workspace was moved.
        """

    @abstractmethod
    async def load(self) -> Snapshot:
        """Return the newest stored state; empty, with ``Integrity.MISSING``, if there is none.

        Raises:
            CorruptStoreError: something is there and cannot be believed; it was left as it is.
            StoreVersionError: it was written by a newer version.
            StoreError: it cannot be read; never taken for "nothing there".
        """

    @abstractmethod
    async def transact(self, fn: Transaction) -> Committed:
        """Apply ``fn`` to the newest state under the store's own lock, all or nothing.

        What is returned is durable. Empty changes are not written and keep the revision. The id
        of the commit, ``Changes.commit``, is stored with them: ``Snapshot.commits``.

        Raises:
            StoreBusyError: the lock could not be had within the bounded wait.
            CommitOutcomeUnknownError: it may be durable or not; load to learn which.
            CorruptStoreError, StoreVersionError, StoreError: as for ``load``, or the write
                failed and the previous state is intact.
        """

    @abstractmethod
    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        """Keep the corrupt content aside and store ``snapshot`` in its place.

        Args:
            token: ``CorruptStoreError.token``. If the content is no longer the one it stands
                for, nothing is replaced and the newest state is returned as ``load`` would.
            snapshot: what recovery found.
        """

    @abstractmethod
    def claim(self, session_id: SessionId) -> AbstractAsyncContextManager[Claim]:
        """Own ``session_id`` while the context is open, or until this process dies.

        Entering does not wait. The claim is lost if another process holds it: then the store ends
        the context, by an error. ``Snapshot.fences`` tells a transaction which claim is the newest.

        Raises:
            ClaimHeldError: another claim is held, in this or any other process.
        """

    @abstractmethod
    async def holder(self, session_id: SessionId) -> Holder:
        """Tell whether the claim on ``session_id`` is held, by this or any other process."""

    def watch(self) -> AsyncIterator[Snapshot]:
        """Yield the new state whenever another process has changed it; without polling.

        It begins with what has changed since this store was read last, so that nothing is missed
        between ``load`` and ``watch``. Requires ``Capability.WATCH``.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "watch")


class WrappedStore(SessionStore):
    """Hands everything on to the store that it wraps; override what shall differ."""

    def __init__(self, inner: SessionStore) -> None:
        self.inner = inner

    @property
    def identity(self) -> str:
        """The identity of the wrapped store."""
        return self.inner.identity

    async def load(self) -> Snapshot:
        """Load from the wrapped store."""
        return await self.inner.load()

    async def transact(self, fn: Transaction) -> Committed:
        """Transact in the wrapped store."""
        return await self.inner.transact(fn)

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        """Replace what is corrupt in the wrapped store."""
        return await self.inner.replace_corrupt(token, snapshot)

    def claim(self, session_id: SessionId) -> AbstractAsyncContextManager[Claim]:
        """Claim in the wrapped store."""
        return self.inner.claim(session_id)

    async def holder(self, session_id: SessionId) -> Holder:
        """Ask the wrapped store."""
        return await self.inner.holder(session_id)

    def watch(self) -> AsyncIterator[Snapshot]:
        """Watch the wrapped store."""
        return self.inner.watch()
