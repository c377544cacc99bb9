"""Changes of other processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import anyio

from frith.model import Changes, Commit, Snapshot
from frith.ports import SessionStore
from frith.providers import Capability
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.process import elsewhere
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_reservation, a_session
from frith_testing.suites.store.open_store import OpenStoreConformance


class OtherProcessesConformance(OpenStoreConformance, suite="store"):
    """Promises about the changes of other processes."""

    @promise(since="1.1", needs=Capability.MULTI_PROCESS)
    async def test_a_transaction_sees_sessions_and_reservations_of_other_processes(
        self, store: SessionStore, opening: Opening
    ) -> None:
        # Reservations count for the limit of sessions and occupy their branches.
        await store.load()
        async with elsewhere(reserves, opening) as other:
            session_id, reservation_id = await other.step()
            seen: list[Snapshot] = []

            def look(newest: Snapshot) -> Changes:
                seen[:] = [newest]
                return Changes()

            committed = await store.transact(look)
            for snapshot in (*seen, committed.snapshot, await store.load()):
                assert [*snapshot.sessions] == [session_id]
                assert [*snapshot.reservations] == [reservation_id]
                assert dict(snapshot.commits) == {"other": "1"}
                assert snapshot.revision == committed.revision

    @promise(since="1.1", needs=Capability.WATCH)
    async def test_watching_begins_with_the_changes_since_the_last_load(
        self, store: SessionStore, opening: Opening
    ) -> None:
        # A host loads first and begins to watch later.
        await store.load()
        async with elsewhere(reserves, opening) as other:
            session_id, _ = await other.step()
            with anyio.fail_after(PATIENCE / 3):
                changed = await next_change(store)
        assert not changed or session_id in changed
        assert [*(await store.load()).sessions] == [session_id]


async def next_change(store: SessionStore) -> frozenset[str]:
    """Watch ``store`` until it reports a change; return the ids that it names."""
    async with aclosing(cast("Any", store.watch())) as changes:
        changed: frozenset[str] = await anext(changes)
        return changed


async def reserves(opening: Opening) -> AsyncIterator[tuple[str, str]]:
    """In another process: store a session and a reservation; yield their ids."""
    session, reservation = a_session(), a_reservation()
    changes = Changes(put=(session,), reserve=(reservation,), commit=Commit("other", "1"))
    async with opening.open() as store:
        await store.transact(lambda _: changes)
        yield session.id, reservation.id
