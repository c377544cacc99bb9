"""The store ``json``: the store port, over one state file and its locks.

Two daemon threads of the store do the blocking work: one waits for the lock and writes, the other
reads and claims and never waits for a lock.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from anyio import CancelScope

from frith.errors import (
    ClaimLostError,
    CommitOutcomeUnknownError,
    StoreBusyError,
    StoreError,
    UnsupportedCapabilityError,
)
from frith.model import SessionId, Snapshot
from frith.ports import Claim, Committed, Holder, SessionStore, Transaction
from frith_json.claims import Claims
from frith_json.mounts import require_shared_locks
from frith_json.options import CAN_WATCH, JsonOptions
from frith_json.places import Places
from frith_json.state import StateFile
from frith_json.worker import Worker, thread_safe_call
from frith_os.locks import describe_holders

_CLOSING = 1.0
"""Seconds that closing waits for the threads; one that waits for a lock ends when it gets it."""


class JsonStore(SessionStore):
    """Sessions in a JSON file; see the documentation of the state file for its format.

    A transaction whose caller is cancelled before its write has begun is dropped. Once it has
    begun the caller waits until it is decided, and is cancelled then.
    """

    def __init__(self, places: Places, options: JsonOptions) -> None:
        self.state = StateFile(places)
        self._places = places
        self._claims = Claims(places.claims)
        self._is_tidied = False
        limits = options.lock_timeout, options.write_timeout
        self._writer = Worker("frith-json-writer", *limits)
        self._reader = Worker("frith-json-reader", *limits)

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
            store.state.lock.retire()
            store._writer.submit(store.state.lock.close)
            await store._reader.close(_CLOSING)
            await store._writer.close(_CLOSING)

    @property
    def identity(self) -> str:
        """The path of the state file: relative to the workspace, if it lies in that."""
        return self._places.identity

    async def load(self) -> Snapshot:
        """See :meth:`frith.ports.SessionStore.load`. Waits for no lock."""
        return (await self._reader.run(self.state.current)).document.snapshot

    async def transact(self, fn: Transaction) -> Committed:
        """See :meth:`frith.ports.SessionStore.transact`."""

        def commit() -> Committed:
            self._claims.renew()
            return self.state.commit(lambda newest: fn(replace(newest, fences=self._claims)))

        committed = await self._write(commit)
        if not self._is_tidied:
            self._is_tidied = True
            self._writer.submit(lambda: self._claims.tidy(self.state.lacks))
        return committed

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        """See :meth:`frith.ports.SessionStore.replace_corrupt`."""
        return await self._write(lambda: self.state.replace_corrupt(token, snapshot))

    @asynccontextmanager
    async def claim(self, session_id: SessionId) -> AsyncIterator[Claim]:
        """See :meth:`frith.ports.SessionStore.claim`."""
        held = await self._reader.run(
            lambda: self._claims.take(session_id), undo=self._claims.release
        )
        call_soon = thread_safe_call()

        def end() -> None:
            with suppress(RuntimeError):  # the loop is closed, and the claim with it
                call_soon(scope.cancel)

        with CancelScope() as scope:
            held.lost = end
            try:
                yield Claim(session_id, held.fence)
            finally:
                self._claims.release(held, is_over=self.state.lacks(session_id))
        if scope.cancelled_caught:
            raise ClaimLostError(session_id)

    async def holder(self, session_id: SessionId) -> Holder:
        """See :meth:`frith.ports.SessionStore.holder`."""
        return await self._reader.run(lambda: self._claims.holder(session_id))

    async def holder_info(self, session_id: SessionId) -> str:
        """See :meth:`frith.ports.SessionStore.holder_info`."""
        return await self._reader.run(lambda: self._claims.holder_info(session_id))

    async def watch(self) -> AsyncGenerator[frozenset[SessionId], None]:
        """See :meth:`frith.ports.SessionStore.watch`.

        It starts from what this store has read last. While the file cannot be read nothing is
        yielded; ``load`` tells why.
        """
        if not CAN_WATCH:
            raise UnsupportedCapabilityError("the store 'json' on this platform", "watch")
        from frith_json.watch import Directories

        seen = self.state.generation
        with Directories() as directories:
            while True:
                directories.follow(self._places.directories)
                known = None
                with suppress(StoreError):
                    known = await self._reader.run(self.state.current)
                if known is not None and known.generation != seen:
                    seen = known.generation
                    yield frozenset()
                await directories.changed()

    async def _write(self, work: Callable[[], Committed]) -> Committed:
        return await self._writer.run(
            work,
            within=self.state.locked,
            busy=self._lock_is_held,
            late=CommitOutcomeUnknownError,
        )

    async def _lock_is_held(self, seconds: float) -> StoreBusyError:
        lock = self._places.lock
        holder = await self._reader.run(lambda: describe_holders(lock))
        return StoreBusyError(
            f"{holder} kept the store busy for {seconds:g} seconds; nothing was changed. Let it "
            f"finish, or end it; then try again. The lock is {lock!r}.",
            holder,
        )
