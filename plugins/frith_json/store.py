"""The store ``json``: the store port, over one state file and its locks.

Two daemon threads of the store do the blocking work: one waits for the lock and writes, the other
reads and claims and never waits for anybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from anyio import CancelScope
from anyio.lowlevel import cancel_shielded_checkpoint

from frith.errors import (
    ClaimLostError,
    CommitOutcomeUnknownError,
    StoreError,
    UnsupportedCapabilityError,
)
from frith.model import SessionId, Snapshot
from frith.ports import Claim, Committed, Holder, SessionStore, Transaction
from frith_json._atomic import Stats
from frith_json._claims import Claims, Fences
from frith_json._jobs import Job, Turn, Worker, do, thread_safe_call
from frith_json._mounts import require_shared_locks
from frith_json._places import Places
from frith_json._state import StateFile
from frith_json.options import CAN_WATCH, JsonOptions

T = TypeVar("T")

_CLOSING = 1.0
"""Seconds that closing waits for the threads; one that waits for a lock ends when it gets it."""


class JsonStore(SessionStore):
    """Sessions in a JSON file; see the documentation of the state file for its format.

    A transaction whose caller is cancelled before its write has begun is dropped. Once it has
    begun the caller waits until it is decided, and is cancelled then.
    """

    def __init__(self, places: Places, options: JsonOptions) -> None:
        self._places = places
        self._options = options
        self._state = StateFile(places)
        self._claims = Claims(places.claims)
        self._fences = Fences(self._claims)
        self._is_tidied = False
        self._gathering: _Gathered | None = None
        self._waiting: deque[_Gathered] = deque()
        self._writer = Worker("frith-json-writer")
        self._reader = Worker("frith-json-reader")

    @classmethod
    @asynccontextmanager
    async def opened(cls, workspace: Path, options: JsonOptions) -> AsyncIterator[JsonStore]:
        """Open the store of ``workspace``; its threads end with the context.

        Raises:
            UnsharedLocksError: its locks would not keep other machines out.
        """
        try:
            places = Places.of(workspace, options.file, options.locks)
        except OSError as error:
            raise StoreError(f"Cannot look for the repository: {error}.") from error
        require_shared_locks(places.lock)
        store = cls(places, options)
        try:
            yield store
        finally:
            store._state.retire()
            store._writer.submit(store._state.close)
            await store._reader.close(_CLOSING)
            await store._writer.close(_CLOSING)

    @property
    def identity(self) -> str:
        """The path of the state file: relative to the workspace, if it lies in that."""
        return self._places.identity

    @property
    def stats(self) -> Stats:
        """What this store has cost so far, counted."""
        return self._state.stats

    async def load(self) -> Snapshot:
        """See :meth:`frith.ports.SessionStore.load`. Waits for no lock."""
        return (await self._read(self._state.current)).document.snapshot

    async def transact(self, fn: Transaction) -> Committed:
        """See :meth:`frith.ports.SessionStore.transact`.

        All that wait at the moment when the lock is had are written as one.
        """
        gathered = self._gathering
        if gathered is not None:
            return await self._decided(gathered.add(fn))
        self._gathering = gathered = _Gathered()
        job = gathered.add(fn)
        try:
            await cancel_shielded_checkpoint()  # meanwhile the others of this turn join
        except BaseException:  # cancelled by asyncio itself, which knows no shield
            job.give_up()
            raise
        finally:
            self._gathering = None
            self._waiting.append(gathered)
            self._writer.submit(self._write_waiting)
        return await self._decided(job)

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        """See :meth:`frith.ports.SessionStore.replace_corrupt`."""
        job = Job[Committed]()

        def replace() -> None:
            do(job, lambda: self._state.replace_corrupt(token, snapshot))

        def locked() -> None:
            try:
                self._state.locked(replace)
            except StoreError as error:
                if job.begin():
                    job.fail(error)
                    job.turn.announce()

        self._writer.submit(locked)
        return await self._decided(job)

    @asynccontextmanager
    async def claim(self, session_id: SessionId) -> AsyncIterator[Claim]:
        """See :meth:`frith.ports.SessionStore.claim`."""
        held = await self._read(lambda: self._claims.take(session_id), self._claims.release)
        call_soon = thread_safe_call()

        def end() -> None:
            with suppress(RuntimeError):  # the loop is closed, and the claim with it
                call_soon(scope.cancel)

        with CancelScope() as scope:
            held.lost = end
            try:
                yield Claim(session_id, held.fence)
            finally:
                self._claims.release(held, is_over=self._state.lacks(session_id))
        if scope.cancelled_caught:
            raise ClaimLostError(session_id)

    async def holder(self, session_id: SessionId) -> Holder:
        """See :meth:`frith.ports.SessionStore.holder`."""
        return await self._read(lambda: self._claims.holder(session_id))

    async def watch(self) -> AsyncIterator[frozenset[SessionId]]:
        """See :meth:`frith.ports.SessionStore.watch`.

        Starts from what this store has seen last. While the file cannot be read nothing is
        yielded; ``load`` tells why.
        """
        if not CAN_WATCH:
            raise UnsupportedCapabilityError("the store 'json' on this platform", "watch")
        from frith_json._inotify import Directories

        seen = self._state.generation
        with Directories() as directories:
            while True:
                directories.follow(self._places.directories)
                known = None
                with suppress(StoreError):
                    known = await self._read(self._state.current)
                if known is not None and known.generation != seen:
                    seen = known.generation
                    yield frozenset()
                await directories.changed()

    async def _read(self, work: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
        limits = self._options.lock_timeout, self._options.write_timeout
        return await self._reader.run(work, *limits, undo=undo)

    async def _decided(self, job: Job[Committed]) -> Committed:
        limits = self._options.lock_timeout, self._options.write_timeout
        late, lock = CommitOutcomeUnknownError, self._places.lock
        return await job.outcome(*limits, late=late, lock=lock)

    def _write_waiting(self) -> None:
        taken: list[_Gathered] = []
        group: list[tuple[Transaction, Job[Committed]]] = []

        def take() -> None:
            while self._waiting:
                taken.append(self._waiting.popleft())
                group.extend(call for call in taken[-1].calls if call[1].begin())

        def tell(outcomes: Sequence[Committed | BaseException]) -> None:
            for (_, job), outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    job.fail(outcome)
                else:
                    job.settle(outcome)
            for gathered in taken:
                gathered.turn.announce()

        def fenced(fn: Transaction) -> Transaction:
            return lambda newest: fn(replace(newest, fences=self._fences))

        def commit() -> None:
            take()  # first: one that is found lost cancels who waits for what has not begun
            try:
                self._claims.mend()
                fns = [fenced(fn) for fn, _ in group]
                outcomes = self._state.commit(fns) if group else ()
            except BaseException as error:
                outcomes = [error] * len(group)
            tell(outcomes)

        if not self._waiting:
            return  # written with an earlier group
        try:
            self._state.locked(commit)
        except BaseException as error:
            if not taken:  # the lock itself failed
                take()
                tell([error] * len(group))
            return
        if not self._is_tidied:
            self._is_tidied = True
            self._claims.tidy(self._state.lacks)


class _Gathered:
    """Transactions that came in one turn of the event loop."""

    def __init__(self) -> None:
        self.turn = Turn()
        self.calls: list[tuple[Transaction, Job[Committed]]] = []

    def add(self, fn: Transaction) -> Job[Committed]:
        job = Job[Committed](self.turn)
        self.calls.append((fn, job))
        return job
