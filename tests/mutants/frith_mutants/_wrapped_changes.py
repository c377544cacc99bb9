"""Stores that keep changes in a wrong way, or do not show them."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from frith.model import Changes, Session, Snapshot
from frith.ports import Committed, SessionStore
from frith.ports.store import Transaction
from frith.providers import ProviderContext
from frith_mutants._wrapped_stores import Wrapped


class HidesReservations(Wrapped):
    """Knows in a transaction only the reservations of its own process."""

    def __init__(self, inner: SessionStore, context: ProviderContext) -> None:
        super().__init__(inner, context)
        self.own: set[str] = set()

    async def transact(self, fn: Transaction) -> Committed:
        def change(newest: Snapshot) -> Changes:
            own = {key: held for key, held in newest.reservations.items() if key in self.own}
            changes = fn(replace(newest, reservations=own))
            self.own |= {reservation.id for reservation in changes.reserve}
            return changes

        return await self.inner.transact(change)


class MissesTheFirstChange(Wrapped):
    async def watch(self) -> AsyncIterator[frozenset[str]]:
        known = await self.inner.load()
        async for changed in self.inner.watch():
            if (await self.inner.load()).revision > known.revision:
                yield changed


class DescribesAtLength(Wrapped):
    async def holder_info(self, session_id: str) -> str:
        return f"the holder of\n{session_id}"


class KeepsOneTable(Wrapped):
    """Keeps sessions and reservations in one table, by their ids."""

    async def transact(self, fn: Transaction) -> Committed:
        def change(newest: Snapshot) -> Changes:
            changes = fn(newest)
            return replace(changes, delete=changes.delete | changes.release, put=_left(changes))

        return await self.inner.transact(change)


class ComparesRecords(Wrapped):
    """Writes only the sessions whose records differ."""

    async def transact(self, fn: Transaction) -> Committed:
        def change(newest: Snapshot) -> Changes:
            changes, known = fn(newest), newest.sessions
            put = (s for s in changes.put if _record(known.get(s.id)) != s.to_record())
            return replace(changes, put=tuple(put))

        return await self.inner.transact(change)


class KeepsOneSessionABranch(Wrapped):
    async def transact(self, fn: Transaction) -> Committed:
        def change(newest: Snapshot) -> Changes:
            changes = fn(newest)
            branches = {session.branch: session.id for session in changes.put}
            gone = (s.id for s in newest.sessions.values() if branches.get(s.branch, s.id) != s.id)
            return replace(changes, delete=changes.delete.union(gone))

        return await self.inner.transact(change)


class HandsOutItsOwnState(Wrapped):
    """Gives everybody the same dictionaries, and changes them."""

    def __init__(self, inner: SessionStore, context: ProviderContext) -> None:
        super().__init__(inner, context)
        self.sessions: dict[str, Session] = {}
        self.reservations: dict[str, Any] = {}

    def shared(self, snapshot: Snapshot) -> Snapshot:
        for mine, theirs in (
            (self.sessions, snapshot.sessions),
            (self.reservations, snapshot.reservations),
        ):
            mine.clear()
            mine.update(theirs)
        return replace(snapshot, sessions=self.sessions, reservations=self.reservations)

    async def load(self) -> Snapshot:
        return self.shared(await self.inner.load())

    async def transact(self, fn: Transaction) -> Committed:
        committed = await self.inner.transact(fn)
        return replace(committed, snapshot=self.shared(committed.snapshot))


class LeavesAThread(Wrapped):
    def __init__(self, inner: SessionStore, context: ProviderContext) -> None:
        super().__init__(inner, context)
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def _left(changes: Changes) -> tuple[Session, ...]:
    return tuple(session for session in changes.put if session.id not in changes.release)


def _record(session: Session | None) -> dict[str, Any] | None:
    return session and session.to_record()
