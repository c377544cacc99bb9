"""The sessions in memory, and the only writer of the store.

A change is a pure function of the newest stored state, never an overwrite. Changes that arrive
during a commit are gathered and committed together. The cost of a change depends on its own size,
not on the number of sessions: snapshots share the sessions that have not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from anyio import CancelScope, Event, Lock, create_task_group, sleep

from frith._engine.binding import StoreBinding
from frith._engine.claims import HeldClaim
from frith._engine.open_providers import Providers
from frith._engine.pending import Amendment, Batch, Deferred, Pending
from frith._engine.reactions import Reactions
from frith._engine.readers import Readers
from frith._engine.tasks import closing
from frith._immutable import differing
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
    """The store is empty though it held sessions before: something has removed it."""

    code = "STORE_VANISHED"


class Ledger:
    """Answers from memory, writes through the store."""

    def __init__(self, providers: Providers, reactions: Reactions) -> None:
        self._providers = providers
        self._reactions = reactions
        self._pending: list[Pending] = []
        self._wake = Event()
        self._decided = Event()
        """Set when the pending changes are decided."""
        self._commit_lock = Lock()
        self._amended: dict[SessionId, Session] = {}
        """The sessions that deferred changes are for, with these changes."""
        self._closed = False
        self._host = uuid4().hex
        self._news = Event()
        self._is_loaded = False
        self.readers = Readers(self.get)
        self.binding = StoreBinding(providers)
        self.deferred = Deferred()
        self.snapshot = Snapshot()
        """The newest state known, without deferred changes."""

    def get(self, session_id: SessionId) -> Session | None:
        """Return the session from memory."""
        return self._amended.get(session_id) or self.snapshot.sessions.get(session_id)

    def all(self) -> tuple[Session, ...]:
        """Return all sessions from memory, in the order of the store."""
        amended = self._amended
        return tuple(amended.get(id_, session) for id_, session in self.snapshot.sessions.items())

    def name_of(self, session_id: SessionId) -> str | None:
        """Return the name of the session, if no other session has it."""
        session = self.get(session_id)
        if session is None or [s.name for s in self.all()].count(session.name) > 1:
            return None
        return session.name

    async def changed(self) -> None:
        """Wait until a newer state is known."""
        await self._news.wait()

    async def need(self, session_id: SessionId) -> Session:
        """Return the session, loading the store again before saying that there is none.

        Raises:
            SessionNotFoundError: there is none.
        """
        if self.get(session_id) is None:
            await self.refresh()
        session = self.get(session_id)
        if session is None:
            raise SessionNotFoundError(session_id)
        return session

    async def load(self) -> Snapshot:
        """Load what is stored, without comparing it to what was known.

        Raises:
            StoreError: it cannot be read; ``CorruptStoreError`` included.
        """
        async with self._commit_lock, self._providers.use(Role.STORE) as store:
            snapshot = await store.load()
            self._take(snapshot)
            return snapshot

    async def refresh(self) -> Snapshot:
        """Take over what other processes have changed; rebuild a corrupt store first."""
        async with self._commit_lock:
            try:
                async with self._providers.use(Role.STORE) as store:
                    snapshot = await store.load()
                self._check_vanished(snapshot)
            except (CorruptStoreError, StoreVanishedError) as error:
                snapshot = await self._reactions.rebuild(error)
            self._absorb(snapshot, snapshot.sessions)
            return snapshot

    async def change(
        self, fn: Transaction, *, claim: HeldClaim | None = None, verifies: bool = False
    ) -> Snapshot:
        """Apply ``fn`` to the newest state; durable on return. ``fn`` may run more than once.

        A caller that is cancelled while waiting does not know whether the change was made.

        Args:
            fn: the change.
            claim: the claim that it needs, if any.
            verifies: whether ``fn`` itself checks a state that another program wrote or damaged.

        Raises:
            ClaimLostError, ClaimDoubtfulError: the claim is lost, or may be.
            StoreError: it could not be written.
            Exception: whatever ``fn`` raised; nothing was changed then.
        """
        if self._closed:
            raise ManagerClosedError
        item, decided = Pending(fn, claim, verifies), self._decided
        self._pending.append(item)
        self._wake.set()
        try:
            await decided.wait()
        finally:
            if not decided.is_set() and item in self._pending:
                self._pending.remove(item)
        if item.error is not None:
            raise item.error
        return self.snapshot

    async def amend(
        self, session_id: SessionId, fn: Amendment, *, claim: HeldClaim | None = None
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

    async def drop(self, session_id: SessionId, *, claim: HeldClaim | None = None) -> None:
        """Remove one session, if it is there; durable on return.

        Raises:
            ClaimLostError, ClaimDoubtfulError, StoreError: see :meth:`change`.
        """

        def transaction(snapshot: Snapshot) -> Changes:
            is_there = session_id in snapshot.sessions
            return Changes(delete=frozenset({session_id} if is_there else ()))

        await self.change(transaction, claim=claim)

    def defer(
        self, session_id: SessionId, kind: str, fn: Amendment, *, claim: HeldClaim | None = None
    ) -> None:
        """Change one session in memory now, and in the store with the next commit or flush.

        The change stays deferred until it is stored or its claim is lost.

        Args:
            session_id: the session; nothing happens if there is none.
            kind: a later change of the same kind replaces an earlier one.
            fn: the change.
            claim: the claim that it needs, if any.
        """
        session = self.get(session_id)
        if session is not None and self.deferred.add((session_id, kind), fn, claim):
            amended = fn(session)
            if amended != session:
                self._amended[session_id] = amended
                self.readers.add(session_id, session, stored=False)

    async def flush(self) -> None:
        """Write the deferred changes, if any.

        Raises:
            StoreError: one could not be written; it stays deferred.
        """
        if not self.deferred and not self._commit_lock.locked():
            return
        await self.change(lambda _: Changes())
        if self.deferred.refusal is not None:
            raise self.deferred.refusal

    async def run(self) -> None:
        """Write until cancelled; a commit that has begun is finished first."""
        try:
            async with create_task_group() as tasks:
                tasks.start_soon(self._flush_deferred)
                while True:
                    await self._wake.wait()
                    with CancelScope(shield=True):
                        batch, self._pending = self._pending, []
                        decided, self._decided = self._decided, Event()
                        self._wake = Event()
                        await self._commit(batch)
                        decided.set()
        finally:
            self._closed = True
            for item in self._pending:
                item.error = ManagerClosedError()
            self._decided.set()
            self.readers.end()

    async def follow(self) -> None:
        """Take over the changes of other processes, as they happen, until cancelled.

        Within a second where the store cannot be watched, or as long as watching it fails.
        """
        can = self._providers.can(Role.STORE, self._providers.config.store, Capability.WATCH)
        failure = ""
        while True:
            try:
                if can:
                    await self._follow_watch()
            except Exception as error:
                if failure != (failure := str(error)):
                    log.error("following_failed", reason=error)
            await sleep(COALESCE)
            await self._refresh_quietly()

    async def _follow_watch(self) -> None:
        async with self._providers.use(Role.STORE) as store, closing(store.watch()) as news:
            async for _ in news:
                await self._refresh_quietly()

    async def _refresh_quietly(self) -> None:
        try:
            await self.refresh()
        except Exception as error:
            log.warning("refresh_failed", reason=str(error))

    async def _flush_deferred(self) -> None:
        while True:
            await self.deferred.wait()
            await sleep(COALESCE)
            try:
                await self.flush()
            except Exception as error:
                log.warning("flush_failed", reason=str(error))

    async def _commit(self, batch: list[Pending]) -> None:
        deferred = self.deferred.take()
        items = (*deferred.values(), *batch)  # deferred changes are older
        try:
            async with self._commit_lock:
                if not self.binding.is_bound:
                    await self.binding.ensure()
                together = Batch(items, Commit(self._host, uuid4().hex))
                committed = await self._transact(together)
                verified = any(item.verifies for item in batch)
                self._absorb(committed, together.found, verified=verified)
        except Exception as error:
            for item in items:
                item.error = error
        for claim in {item.claim for item in items if isinstance(item.error, ClaimLostError)}:
            if claim is not None:
                claim.release()
        stored = self.deferred.settle(deferred)
        if self.deferred.refusal is not None:
            self._take(self.snapshot)  # with the changes that stay deferred
        for session_id in stored:
            if self.get(session_id) is not None:
                self._reactions.session_stored(session_id)

    async def _transact(self, batch: Batch) -> Snapshot:
        try:
            return await self._transact_surely(batch)
        except (CorruptStoreError, StoreVanishedError) as error:
            self._take(await self._reactions.rebuild(error))
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
        """Find out the outcome of a commit; make it durable, or repeat it.

        Raises:
            CommitOutcomeUnknownError: no attempt could learn it.
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
        known, amended = self.snapshot.sessions, self._amended
        self.snapshot = snapshot
        self._amended = self.deferred.applied_to(snapshot.sessions)
        self.readers.at(snapshot.revision)
        if self._is_loaded:
            changed = dict.fromkeys(
                (*differing(known, snapshot.sessions), *amended, *self._amended)
            )
            for session_id in changed:
                before = amended.get(session_id) or known.get(session_id)
                if before != self.get(session_id):
                    self.readers.add(session_id, before, stored=True)
        else:
            self._is_loaded = True
            self.readers.restart(snapshot.revision)
        self._news.set()
        self._news = Event()

    def _absorb(
        self, snapshot: Snapshot, found: Mapping[SessionId, Session], *, verified: bool = False
    ) -> None:
        """Take over ``snapshot``; ``found`` is the stored state before our own changes."""
        known = self.snapshot
        self._take(snapshot)
        if snapshot.integrity in _DOUBTFUL and not verified and not _same(known, snapshot):
            self._reactions.state_doubted(snapshot)
        before = known.sessions
        for session_id in tuple(differing(before, found)):
            self._reactions.session_changed(before.get(session_id), found.get(session_id))


def _same(one: Snapshot, other: Snapshot) -> bool:
    return (one.revision, one.integrity, one.sessions) == (
        other.revision,
        other.integrity,
        other.sessions,
    )
