"""Stores that stand in front of the built-in one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from frith.errors import ClaimHeldError, CorruptStoreError
from frith.model import Changes, Details, Integrity, Session, Snapshot
from frith.ports import Claim, Committed, Holder, SessionStore, WrappedStore
from frith.ports.store import Transaction
from frith.providers import ProviderContext

STATE_FILE = ".claude-container-sessions.json"
A_MOMENT = 0.02
"""Seconds in which another process may act."""
LONG = 60.0
"""Seconds after which a process that is to be killed is dead on any machine."""


class Wrapped(WrappedStore):
    """Calls the wrapped provider."""

    def __init__(self, inner: SessionStore, context: ProviderContext) -> None:
        super().__init__(inner)
        self.workspace = context.workspace


class Dawdles(Wrapped):
    """Pauses between reading and writing, so that other processes act in between."""

    async def transact(self, fn: Transaction) -> Committed:
        def slow(newest: Snapshot) -> Changes:
            changes = fn(newest)
            threading.Event().wait(A_MOMENT)
            return changes

        return await self.inner.transact(slow)


class IsAnotherEachTime(Wrapped):
    @property
    def identity(self) -> str:
        return f"{self.inner.identity} {id(self)}"


class HidesFences(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:
        return await self.inner.transact(lambda newest: fn(replace(newest, fences={})))


class ForgetsCommits(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:
        return await self.inner.transact(lambda newest: replace(fn(newest), commit=None))


class AcknowledgesFirst(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:
        changes = fn(before := await self.inner.load())

        async def write() -> None:
            await anyio.sleep(LONG)
            await self.inner.transact(lambda _: changes)

        thread = threading.Thread(target=anyio.run, args=(write,), daemon=True)
        thread.start()
        after = changes.apply(before)
        return Committed(after, after.revision)


class ReadsBeforeTheLock(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:
        found = await self.inner.load()
        await anyio.sleep(10 * A_MOMENT)
        return await self.inner.transact(lambda _: fn(found))


class OverwritesBlindly(Wrapped):
    known: Snapshot | None = None

    async def load(self) -> Snapshot:
        self.known = await self.inner.load()
        return self.known

    async def transact(self, fn: Transaction) -> Committed:
        known = self.known or await self.load()
        if not (changes := fn(known)):
            return await self.inner.transact(lambda _: changes)
        mine = changes.apply(known)
        committed = await self.inner.transact(lambda newest: _overwriting(newest, mine))
        self.known = committed.snapshot
        return committed


class WritesOneByOne(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:
        committed = await self.inner.transact(lambda newest: replace(fn(newest), put=()))
        for session in fn(committed.snapshot).put:
            await anyio.sleep(10 * A_MOMENT)  # others read meanwhile
            changes = Changes(put=(session,))
            committed = await self.inner.transact(lambda _, changes=changes: changes)  # type: ignore[misc]
        return committed


class WrapsErrors(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:
        try:
            return await self.inner.transact(fn)
        except LookupError as error:
            raise RuntimeError("the transaction failed") from error


class WritesEmptyChanges(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:
        something = Changes(release=frozenset({"nothing"}))
        return await self.inner.transact(lambda newest: fn(newest) or something)


class CountsNothing(Wrapped):
    async def load(self) -> Snapshot:
        return replace(await self.inner.load(), revision=1)

    async def transact(self, fn: Transaction) -> Committed:
        committed = await self.inner.transact(fn)
        return Committed(replace(committed.snapshot, revision=1), 1)


class KnowsNoAbsence(Wrapped):
    async def load(self) -> Snapshot:
        return replace(await self.inner.load(), integrity=Integrity.VERIFIED)


class _ChangesSessions(Wrapped):
    """Stores changed sessions."""

    def stored(self, session: Session) -> Session:
        raise NotImplementedError

    async def transact(self, fn: Transaction) -> Committed:
        def change(newest: Snapshot) -> Changes:
            changes = fn(newest)
            return replace(changes, put=tuple(map(self.stored, changes.put)))

        return await self.inner.transact(change)


class DropsUnknownFields(_ChangesSessions):
    def stored(self, session: Session) -> Session:
        extra = session.model_extra or {}
        known = {key: text for key, text in session.to_record().items() if key not in extra}
        return Session.model_validate(known).evolve(details=session.details)


class DropsDetails(_ChangesSessions):
    def stored(self, session: Session) -> Session:
        return session.evolve(details=Details())


class RoundsIntegers(_ChangesSessions):
    def stored(self, session: Session) -> Session:
        rounded = Session.model_validate(_rounded(session.to_record()))
        return rounded.evolve(details=session.details)


class DropsReservations(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:
        return await self.inner.transact(lambda newest: replace(fn(newest), reserve=()))


class DeletesTheCorrupt(Wrapped):
    async def load(self) -> Snapshot:
        try:
            return await self.inner.load()
        except CorruptStoreError:
            (self.workspace / STATE_FILE).unlink()
            raise


class TakesTheCorruptForNone(Wrapped):
    async def load(self) -> Snapshot:
        try:
            return await self.inner.load()
        except CorruptStoreError:
            return Snapshot(integrity=Integrity.MISSING)


class ReplacesWhateverIsThere(Wrapped):
    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        try:
            await self.inner.load()
        except CorruptStoreError as error:
            return await self.inner.replace_corrupt(error.token, snapshot)
        return await self.inner.transact(lambda newest: _overwriting(newest, snapshot))


class ChecksTheTokenTooEarly(ReplacesWhateverIsThere):
    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        try:
            newest = await self.inner.load()
            return Committed(newest, newest.revision)
        except CorruptStoreError:
            await anyio.sleep(2 * (1 + self._turn()))
            return await super().replace_corrupt(token, snapshot)

    def _turn(self) -> int:
        """Return the number of processes that came before."""
        number = 0
        while True:
            try:
                (self.workspace / f".turn-{number}").touch(exist_ok=False)
            except FileExistsError:
                number += 1
            else:
                return number


class IgnoresCancellation(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:  # type: ignore[return]
        with anyio.CancelScope(shield=True):
            return await self.inner.transact(fn)


class ClaimsForEverybody(Wrapped):
    @asynccontextmanager
    async def claim(self, session_id: str) -> AsyncIterator[Claim]:
        yield Claim(session_id, 1)


class ClaimsByPid(Wrapped):
    def _file(self, session_id: str) -> Path:
        return self.workspace / f".claim-{session_id}"

    def _pid(self, session_id: str) -> int | None:
        with suppress(OSError, ValueError):
            os.kill(pid := int(self._file(session_id).read_text()), 0)
            return pid
        return None

    @asynccontextmanager
    async def claim(self, session_id: str) -> AsyncIterator[Claim]:
        if self._pid(session_id) not in (None, os.getpid()):
            raise ClaimHeldError(session_id)
        self._file(session_id).write_text(str(os.getpid()))
        try:
            yield Claim(session_id, time.time_ns())
        finally:
            self._file(session_id).unlink(missing_ok=True)

    async def holder(self, session_id: str) -> Holder:
        return Holder.FREE if self._pid(session_id) is None else Holder.HELD


class SeesNoHolder(Wrapped):
    async def holder(self, session_id: str) -> Holder:
        return Holder.FREE


class KeepsClaims(Wrapped):
    kept: AbstractAsyncContextManager[Claim]

    @asynccontextmanager
    async def claim(self, session_id: str) -> AsyncIterator[Claim]:
        self.kept = held = self.inner.claim(session_id)
        yield await held.__aenter__()
        await held.__aexit__(None, None, None)


class CountsNoClaims(Wrapped):
    @asynccontextmanager
    async def claim(self, session_id: str) -> AsyncIterator[Claim]:
        async with self.inner.claim(session_id):
            yield Claim(session_id, 1)


class WatchesNothing(Wrapped):
    async def watch(self) -> AsyncIterator[frozenset[str]]:
        await anyio.sleep_forever()
        yield frozenset()


def _overwriting(newest: Snapshot, mine: Snapshot) -> Changes:
    """Return the changes from ``newest`` to ``mine``."""
    put = tuple(mine.sessions.values())
    return Changes(put=put, delete=frozenset(newest.sessions.keys() - mine.sessions.keys()))


def _rounded(tree: Any) -> Any:
    """Return ``tree`` with integers beyond 64 bits as floats."""
    if isinstance(tree, dict):
        return {key: _rounded(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_rounded(value) for value in tree]
    is_big = type(tree) is int and not -(2**63) <= tree < 2**64
    return float(tree) if is_big else tree
