"""The in-memory registry of sessions and its group-committing writer.

The ledger is the only writer. A change is a pure function of the newest stored state, never an
overwrite. While one commit is on its way the next changes gather, and go as one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

from anyio import CancelScope, Event, Lock, create_task_group, sleep

from frith._engine.batch import Batch, Pending
from frith._engine.claims import Owned
from frith._engine.deferred import Amendment, Owing
from frith._engine.open_providers import Providers
from frith._engine.tasks import closing
from frith.errors import (
    ClaimLostError,
    CommitOutcomeUnknownError,
    CorruptStoreError,
    ManagerClosedError,
    SessionNotFoundError,
    StoreError,
)
from frith.logs import log
from frith.model import Changes, Commit, Integrity, Session, SessionId, Snapshot
from frith.ports import SessionStore, Transaction
from frith.providers import Capability, Role

COALESCE = 1.0
"""Seconds between two flushes of what need not be durable at once."""

_PAUSES = (0.05, 0.2, 1.0)
"""Seconds before each attempt to learn what became of a commit."""

_DOUBTFUL = (Integrity.FOREIGN, Integrity.MISMATCH)


class StoreVanishedError(StoreError):
    """The store is empty though it held sessions before: it was removed under us."""

    code = "STORE_VANISHED"


class Ledger:
    """Answers from memory, writes through the store."""

    def __init__(
        self,
        providers: Providers,
        *,
        bind: Callable[[], Awaitable[None]],
        recover: Callable[[StoreError], Awaitable[Snapshot]],
        changed_elsewhere: Callable[[Session | None, Session | None], None],
        flushed: Callable[[Session], None],
        distrusted: Callable[[Snapshot], None],
    ) -> None:
        """Make an empty ledger.

        Args:
            bind: called before each commit; raises if the store may not be written.
            recover: called when the store turns out corrupt or vanished; repairs it.
            changed_elsewhere: called with a session before and after another process changed it.
            flushed: called with a session whose owed changes became durable.
            distrusted: called with a state that somebody else wrote or damaged.
        """
        self._providers = providers
        self._bind = bind
        self._recover = recover
        self._changed_elsewhere = changed_elsewhere
        self._flushed = flushed
        self._distrusted = distrusted
        self._sessions: dict[SessionId, Session] = {}
        self._pending: list[Pending] = []
        self._wake = Event()
        self._commit_lock = Lock()
        self._owing = Owing()
        self._closed = False
        self._host = uuid4().hex
        self._news = Event()
        self.snapshot = Snapshot()
        """The newest state known, without what is still owed to the store."""

    def get(self, session_id: SessionId) -> Session | None:
        """Return the session from memory."""
        return self._sessions.get(session_id)

    def all(self) -> tuple[Session, ...]:
        """Return all sessions from memory, in the order of the store."""
        return tuple(self._sessions.values())

    def name_of(self, session_id: SessionId) -> str | None:
        """Return the name of the session, if no other session has it."""
        session = self._sessions.get(session_id)
        if session is None or [s.name for s in self.all()].count(session.name) > 1:
            return None
        return session.name

    async def changed(self) -> None:
        """Wait until something is known anew."""
        await self._news.wait()

    async def need(self, session_id: SessionId) -> Session:
        """Return the session, looking at the store again before saying that there is none.

        Raises:
            SessionNotFoundError: there is none.
        """
        if session_id not in self._sessions:
            await self.refresh()
        session = self._sessions.get(session_id)
        if session is None:
            raise SessionNotFoundError(session_id)
        return session

    async def load(self) -> Snapshot:
        """Take over what is stored, as the beginning.

        Raises:
            StoreError: it cannot be read; ``CorruptStoreError`` included.
        """
        async with self._commit_lock, self._providers.use(Role.STORE) as store:
            snapshot = await store.load()
            self._take(snapshot)
            return snapshot

    async def refresh(self) -> Snapshot:
        """Take over what other processes have changed; repair a corrupt store first."""
        async with self._commit_lock:
            try:
                async with self._providers.use(Role.STORE) as store:
                    snapshot = await store.load()
                self._check_vanished(snapshot)
            except (CorruptStoreError, StoreVanishedError) as error:
                snapshot = await self._recover(error)
            self._absorb(snapshot, snapshot.sessions)
            return snapshot

    async def change(
        self, fn: Transaction, *, claim: Owned | None = None, verifies: bool = False
    ) -> Snapshot:
        """Apply ``fn`` to the newest state; durable on return. ``fn`` may run more than once.

        A caller that is cancelled while waiting does not know whether the change was made.

        Args:
            fn: the change.
            claim: the ownership that it needs, if any.
            verifies: whether ``fn`` itself checks a state that somebody else wrote or damaged.

        Raises:
            ClaimLostError, ClaimDoubtfulError: the session is not, or may not be, owned any more.
            StoreError: it could not be written.
            Exception: whatever ``fn`` raised; nothing was changed then.
        """
        if self._closed:
            raise ManagerClosedError
        item = Pending(fn, claim, verifies)
        self._pending.append(item)
        self._wake.set()
        try:
            await item.decided.wait()
        finally:
            if item in self._pending:
                self._pending.remove(item)
        if item.error is not None:
            raise item.error
        return self.snapshot

    async def amend(
        self, session_id: SessionId, fn: Amendment, *, claim: Owned | None = None
    ) -> Session:
        """Change one session; durable on return.

        Raises:
            SessionNotFoundError: there is none.
            ClaimLostError, ClaimDoubtfulError, StoreError: see :meth:`change`.
        """
        amended: list[Session] = []

        def transaction(snapshot: Snapshot) -> Changes:
            amended.clear()
            old = snapshot.sessions.get(session_id)
            if old is None:
                raise SessionNotFoundError(session_id)
            new = fn(old)
            amended.append(new)
            return Changes() if new == old else Changes(put=(new,))

        await self.change(transaction, claim=claim)
        return amended[0]

    async def drop(self, session_id: SessionId, *, claim: Owned | None = None) -> None:
        """Remove one session; durable on return. It is no error if there is none.

        Raises:
            ClaimLostError, ClaimDoubtfulError, StoreError: see :meth:`change`.
        """

        def transaction(snapshot: Snapshot) -> Changes:
            return Changes(delete=frozenset({session_id} & snapshot.sessions.keys()))

        await self.change(transaction, claim=claim)

    def owe(
        self, session_id: SessionId, what: str, fn: Amendment, *, claim: Owned | None = None
    ) -> None:
        """Change one session in memory now, and in the store with the next commit or flush.

        It is owed until it is stored, or the session is no longer owned.

        Args:
            session_id: the session; nothing happens if there is none.
            what: names the kind of change; a later one of the same kind replaces an earlier.
            fn: the change.
            claim: the ownership that it needs, if any.
        """
        session = self._sessions.get(session_id)
        if session is not None and self._owing.add((session_id, what), fn, claim):
            self._sessions[session_id] = fn(session)

    def forgive(self, session_id: SessionId, what: str) -> None:
        """Owe that kind of change no more: what replaces it is written by other means."""
        self._owing.forgive((session_id, what))

    def forget(self, claim: Owned) -> None:
        """Owe nothing any more that needs an ownership which is lost."""
        self._owing.forget(claim)

    async def flush(self) -> None:
        """Write what is owed, if anything.

        Raises:
            StoreError: it could not be written; it is still owed.
        """
        if not self._owing and not self._commit_lock.locked():
            return
        await self.change(lambda _: Changes())
        if self._owing.refusal is not None:
            raise self._owing.refusal

    async def run(self) -> None:
        """Write until cancelled; a commit that has begun is finished first."""
        try:
            async with create_task_group() as tasks:
                tasks.start_soon(self._flush_owed)
                while True:
                    await self._wake.wait()
                    with CancelScope(shield=True):
                        batch, self._pending = self._pending, []
                        self._wake = Event()
                        await self._commit(batch)
        finally:
            self._closed = True
            for item in self._pending:
                item.error = ManagerClosedError()
                item.decided.set()

    async def follow(self) -> None:
        """Take over what other processes change, as it happens, until cancelled."""
        if not self._providers.can(Role.STORE, self._providers.config.store, Capability.WATCH):
            while True:
                await sleep(COALESCE)
                await self._refresh_quietly()
        async with self._providers.use(Role.STORE) as store, closing(store.watch()) as news:
            async for _ in news:
                # What watch saw may be older than what was committed here since.
                await self._refresh_quietly()

    async def _refresh_quietly(self) -> None:
        try:
            await self.refresh()
        except Exception as error:
            log.warning("refresh_failed", reason=str(error))

    async def _flush_owed(self) -> None:
        while True:
            await self._owing.wait()
            await sleep(COALESCE)
            try:
                await self.flush()
            except Exception as error:
                log.warning("flush_failed", reason=str(error))

    async def _commit(self, batch: list[Pending]) -> None:
        due = self._owing.due()
        items = (*due.values(), *batch)  # what is owed is older
        try:
            async with self._commit_lock:
                await self._bind()
                together = Batch(items, Commit(self._host, uuid4().hex))
                committed = await self._transact(together)
                verified = any(item.verifies for item in batch)
                self._absorb(committed, together.found, verified=verified)
        except Exception as error:
            for item in items:
                item.error = error
        for claim in {item.claim for item in items if isinstance(item.error, ClaimLostError)}:
            if claim is not None:
                claim.let_go()
        stored = self._owing.settle(due)
        if self._owing.refusal is not None:
            self._take(self.snapshot)  # with what is owed on
        for session_id in stored & self._sessions.keys():
            self._flushed(self._sessions[session_id])
        for item in batch:
            item.decided.set()

    async def _transact(self, batch: Batch) -> Snapshot:
        try:
            return await self._transact_surely(batch)
        except (CorruptStoreError, StoreVanishedError) as error:
            self._take(await self._recover(error))
            return await self._transact_surely(batch)

    async def _transact_surely(self, batch: Batch) -> Snapshot:
        def first(snapshot: Snapshot) -> Changes:
            self._check_vanished(snapshot)
            return batch(snapshot)

        async with self._providers.use(Role.STORE) as store:
            try:
                return (await store.transact(first)).snapshot
            except CommitOutcomeUnknownError as error:
                log.warning("commit_outcome_unknown", reason=str(error))
                return await self._transact_again(store, batch, error)

    async def _transact_again(
        self, store: SessionStore, batch: Batch, unknown: CommitOutcomeUnknownError
    ) -> Snapshot:
        """Learn what became of a commit, and make it durable or make it at all.

        Raises:
            CommitOutcomeUnknownError: that cannot be learned now, for whatever reason.
        """

        def again(snapshot: Snapshot) -> Changes:
            self._check_vanished(snapshot)
            return batch.again(snapshot)

        for pause in _PAUSES:
            await sleep(pause)
            try:
                return (await store.transact(again)).snapshot
            except Exception as error:
                log.warning("commit_outcome_still_unknown", reason=str(error))
        raise unknown

    def _check_vanished(self, snapshot: Snapshot) -> None:
        if snapshot.integrity is Integrity.MISSING and self.snapshot.sessions:
            raise StoreVanishedError("The stored sessions have vanished.")

    def _take(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._sessions = dict(snapshot.sessions)
        self._owing.apply(self._sessions)
        self._news.set()
        self._news = Event()

    def _absorb(
        self, snapshot: Snapshot, found: Mapping[SessionId, Session], *, verified: bool = False
    ) -> None:
        """Take over ``snapshot``; ``found`` is what others had made of it before we changed it."""
        known, before = self.snapshot, self.snapshot.sessions
        self._take(snapshot)
        if snapshot.integrity in _DOUBTFUL and not verified and not _same(known, snapshot):
            self._distrusted(snapshot)
        if before is found:
            return
        for session_id in before.keys() | found.keys():
            old, new = before.get(session_id), found.get(session_id)
            if old is not new and old != new:
                self._changed_elsewhere(old, new)


def _same(one: Snapshot, other: Snapshot) -> bool:
    return (one.revision, one.integrity, one.sessions) == (
        other.revision,
        other.integrity,
        other.sessions,
    )
