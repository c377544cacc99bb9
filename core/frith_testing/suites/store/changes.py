"""Changes that a careless schema loses."""

from __future__ import annotations

import anyio

from frith.model import Changes
from frith.ports import SessionStore
from frith.providers import Capability
from frith_testing.harness.base import Opening
from frith_testing.harness.promises import promise
from frith_testing.harness.resources import require_nothing_left
from frith_testing.harness.samples import a_reservation, a_session
from frith_testing.suites.store.open_store import DETAILS_ARE_LOST, OpenStoreConformance
from frith_testing.suites.store.other_processes import next_change

WATCHED = 0.02
"""Seconds for which a store is watched before it is closed."""


class ChangesConformance(OpenStoreConformance, suite="store"):
    """Promises about stored changes."""

    @promise(since="1.1")
    async def test_a_session_replaces_its_reservation_in_one_change(
        self, store: SessionStore
    ) -> None:
        # Both have the same id, so one table for both would release the session.
        session = a_session()
        await store.transact(lambda _: Changes(reserve=(a_reservation(id=session.id),)))
        published = Changes(put=(session,), release=frozenset({session.id}))
        committed = await store.transact(lambda _: published)
        for snapshot in (committed.snapshot, await store.load()):
            assert snapshot.sessions == {session.id: session}
            assert snapshot.reservations == {}

    @promise(since="1.1")
    async def test_a_change_of_details_alone_is_stored(
        self, store: SessionStore, opening: Opening
    ) -> None:
        session = a_session()
        await store.transact(lambda _: Changes(put=(session,)))
        changed = session.detail(terminal="pty", terminal_ref={"token": "t"})
        await store.transact(lambda _: Changes(put=(changed,)))
        async with opening.open() as another:
            (found,) = (await another.load()).sessions.values()
        assert found.details == changed.details, DETAILS_ARE_LOST

    @promise(since="1.1")
    async def test_sessions_that_share_name_branch_and_worktree_are_all_stored(
        self, store: SessionStore
    ) -> None:
        one = a_session()
        other = a_session(branch=one.branch, worktree_path=one.worktree_path)
        for session in (one, other):
            await store.transact(lambda _, new=session: Changes(put=(new,)))  # type: ignore[misc]
        assert (await store.load()).sessions == {one.id: one, other.id: other}

    @promise(since="1.1")
    async def test_later_changes_do_not_alter_a_snapshot(self, store: SessionStore) -> None:
        session, reservation = a_session(), a_reservation()
        committed = await store.transact(lambda _: Changes(put=(session,), reserve=(reservation,)))
        snapshots = [committed.snapshot, await store.load()]
        await store.transact(
            lambda _: Changes(
                put=(session.evolve(name="renamed"), a_session()),
                release=frozenset({reservation.id}),
            )
        )
        for snapshot in snapshots:
            assert snapshot.sessions == {session.id: session}
            assert snapshot.reservations == {reservation.id: reservation}

    @promise(since="1.1")
    async def test_a_closed_store_leaves_no_descriptor_and_no_thread(
        self, opening: Opening
    ) -> None:
        async def use(store: SessionStore) -> None:
            session = a_session()
            await store.transact(lambda _: Changes(put=(session,)))
            async with store.claim(session.id):
                await store.holder(session.id)
            if Capability.WATCH in opening.spec.capabilities:
                with anyio.move_on_after(WATCHED):
                    await next_change(store)

        await require_nothing_left(opening, use)
