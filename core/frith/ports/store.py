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
"""A pure function of the newest state. It may run more than once and in any thread. An exception
that it raises aborts the transaction and reaches the caller of ``transact`` unchanged."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome of a transaction."""

    snapshot: Snapshot
    """The state after it. Its ``integrity`` is that of the state that the transaction found."""
    revision: int
    """The revision now stored."""

    @classmethod
    def of(cls, found: Snapshot, changes: Changes) -> Committed:
        """Return the outcome of a transaction that ``found`` a state and made ``changes``.

        It costs what is changed, not what is stored: the two states share what they have in
        common. A store that keeps the snapshot in memory, and gives it to the next transaction
        if no other process has committed since, lets the manager compare the states as cheaply.
        """
        after = changes.apply(found)
        return cls(replace(after, integrity=found.integrity), after.revision)


class Holder(StrEnum):
    """Whether a process holds the claim on a session."""

    HELD = "held"
    FREE = "free"
    EXPIRED = "expired"
    """The lease of the holder has run out, and no host has claimed the session since. The holder
    may still run its process: the session is not free, and only ``claim`` tells whether this host
    may have it."""
    UNKNOWN = "unknown"
    """Unknown; the caller must act as if it were held."""


@dataclass(slots=True)
class Claim:
    """Proof of owning a session while its context is open."""

    session_id: SessionId
    fence: int
    """Grows with every claim on the same session, across processes."""
    is_doubtful: bool = False
    """Whether the store cannot tell now that the claim is still held. The store sets it, and resets
    it once it can; a claim that another process has taken is lost instead, and its context ends."""


class SessionStore(ABC):
    """Keeps sessions durably, for any number of processes at once.

    A store that serves a single process does not declare ``Capability.MULTI_PROCESS``, and refuses
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
            CorruptStoreError: the stored state is damaged; it was left as it is.
            StoreVersionError: it was written by a newer version.
            StoreError: it cannot be read. A failure to read is never taken for an empty store.
        """

    @abstractmethod
    async def transact(self, fn: Transaction) -> Committed:
        """Apply ``fn`` to the newest state under the store's own lock, all or nothing.

        The changes are durable on return. Empty changes are not written and keep the revision. The
        id of the commit, ``Changes.commit``, is stored with them: ``Snapshot.commits``.

        *Order.* Transactions of all processes happen one after another, and each sees all that
        were committed before it. The revision grows in this order, also for ``load``.

        *Cancellation.* A call that is cancelled before its transaction has begun never happens,
        and one that has begun is finished or undone before the call returns. Nothing runs on in
        the background.

        Raises:
            StoreBusyError: the lock could not be had within a bounded time.
            CommitOutcomeUnknownError: the changes may be durable or not; load to learn which.
            CorruptStoreError, StoreVersionError, StoreError: as for ``load``, or the write
                failed and the previous state is intact.
        """

    @abstractmethod
    def claim(self, session_id: SessionId) -> AbstractAsyncContextManager[Claim]:
        """Own ``session_id`` while the context is open, or until this process dies.

        Entering does not wait for a holder. If another process takes the claim, the store ends the
        context with an error. ``Snapshot.fences`` tells a transaction which claim is the newest.

        Raises:
            ClaimHeldError: another claim is held, in this or any other process.
        """

    @abstractmethod
    async def holder(self, session_id: SessionId) -> Holder:
        """Tell whether the claim on ``session_id`` is held, by this or any other process."""

    async def holder_info(self, session_id: SessionId) -> str:
        """Describe the holder of the claim on ``session_id``, for the user.

        Such as ``process 4242 on host build-1``; empty if nothing is known. It may be out of date.
        """
        return ""

    def watch(self) -> AsyncIterator[frozenset[SessionId]]:
        """Yield whenever another process has changed the stored state; without polling.

        Yields the ids of the sessions and reservations that were changed, or an empty set if the
        store cannot tell. Several changes may be one item. The first item is for what has changed
        since this store was read last, so that nothing is missed between ``load`` and ``watch``.
        Requires ``Capability.WATCH``.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "watch")

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        """Keep the corrupt content aside and store ``snapshot`` in its place.

        Requires ``Capability.REPAIR``: a store that can do without, such as a database with
        backups of its own, is never asked.

        Args:
            token: ``CorruptStoreError.token``. If the stored content is no longer the one it
                stands for, nothing is replaced and the newest state is returned as by ``load``.
            snapshot: what recovery found.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "repair")


class WrappedStore(SessionStore):
    """Delegates every method to the wrapped store; override the methods to change.

    Its provider declares the capabilities that the wrapped store has.
    """

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

    def claim(self, session_id: SessionId) -> AbstractAsyncContextManager[Claim]:
        """Claim in the wrapped store."""
        return self.inner.claim(session_id)

    async def holder(self, session_id: SessionId) -> Holder:
        """Ask the wrapped store."""
        return await self.inner.holder(session_id)

    async def holder_info(self, session_id: SessionId) -> str:
        """Ask the wrapped store."""
        return await self.inner.holder_info(session_id)

    def watch(self) -> AsyncIterator[frozenset[SessionId]]:
        """Watch the wrapped store."""
        return self.inner.watch()

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        """Replace what is corrupt in the wrapped store."""
        return await self.inner.replace_corrupt(token, snapshot)
