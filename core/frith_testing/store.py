"""The suite for stores: see :class:`frith.ports.SessionStore`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import UnsupportedCapabilityError
from frith.model import Changes, Commit, Integrity, Session, Snapshot
from frith.ports import SessionStore, Transaction
from frith.providers import Capability
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.files import changed, copied, files_of
from frith_testing.harness.process import elsewhere
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_full_session, a_reservation, a_session
from frith_testing.suites.store.changes import ChangesConformance
from frith_testing.suites.store.claim_safety import ClaimSafetyConformance
from frith_testing.suites.store.claims import ClaimConformance
from frith_testing.suites.store.corruption import CorruptionConformance
from frith_testing.suites.store.open_store import DETAILS_ARE_LOST
from frith_testing.suites.store.other_processes import OtherProcessesConformance
from frith_testing.suites.store.store_faults import StoreFaultConformance
from frith_testing.suites.store.waiting import WaitingConformance


class StoreConformance(
    ChangesConformance,
    ClaimConformance,
    ClaimSafetyConformance,
    OtherProcessesConformance,
    CorruptionConformance,
    WaitingConformance,
    StoreFaultConformance,
    suite="store",
):
    """Tests of a store. Define the fixture ``provider``.

    Two more fixtures let more be tested: ``damage`` returns a function that corrupts the stored
    data, for stores that are not both file-backed and checksummed; ``make_newer`` returns one that
    turns the stored data into that of a newer version.
    """

    async def test_loading_when_nothing_is_stored_gives_an_empty_snapshot(
        self, store: SessionStore
    ) -> None:
        assert await store.load() == Snapshot(integrity=Integrity.MISSING)

    async def test_every_host_sees_the_same_identity_of_the_store(
        self, store: SessionStore, opening: Opening
    ) -> None:
        assert store.identity
        async with opening.open() as another:
            assert another.identity == store.identity

    @pytest.mark.parametrize("make", [a_session, a_full_session])
    async def test_a_session_is_loaded_with_every_field_and_detail(
        self, store: SessionStore, opening: Opening, make: Callable[[], Session]
    ) -> None:
        session = make()
        committed = await store.transact(lambda _: Changes(put=(session,)))
        async with opening.open() as another:
            for snapshot in (committed.snapshot, await store.load(), await another.load()):
                (found,) = snapshot.sessions.values()
                assert found.details == session.details, DETAILS_ARE_LOST
                assert found == session
                assert found.to_record() == session.to_record()
                assert found.details.model_extra == session.details.model_extra

    async def test_a_reservation_is_loaded_with_every_field(
        self, store: SessionStore, opening: Opening
    ) -> None:
        new, unborn = a_reservation(), a_reservation(creates_branch=False, base_oid=None)
        await store.transact(lambda _: Changes(reserve=(new, unborn)))
        async with opening.open() as another:
            assert (await another.load()).reservations == {new.id: new, unborn.id: unborn}

    async def test_all_changes_of_a_transaction_are_applied(self, store: SessionStore) -> None:
        kept, gone, replaced = a_full_session(), a_session(), a_session()
        held, released = a_reservation(), a_reservation()
        await store.transact(
            lambda _: Changes(put=(kept, gone, replaced), reserve=(held, released))
        )
        replacement = a_full_session(id=replaced.id)
        committed = await store.transact(
            lambda _: Changes(
                put=(replacement,), delete=frozenset({gone.id}), release=frozenset({released.id})
            )
        )
        for snapshot in (committed.snapshot, await store.load()):
            assert snapshot.sessions == {kept.id: kept, replacement.id: replacement}
            assert snapshot.reservations == {held.id: held}

    async def test_removing_an_unknown_session_is_not_an_error(self, store: SessionStore) -> None:
        session = a_session()
        await store.transact(lambda _: Changes(put=(session,)))
        unknown = frozenset({a_session().id})
        await store.transact(lambda _: Changes(delete=unknown, release=unknown))
        assert (await store.load()).sessions == {session.id: session}

    async def test_the_revision_grows_with_every_commit(
        self, store: SessionStore, opening: Opening
    ) -> None:
        revisions = [(await store.load()).revision]
        async with opening.open() as another:
            for opened in (store, another, store):
                committed = await opened.transact(lambda _: Changes(put=(a_session(),)))
                assert committed.revision == committed.snapshot.revision
                assert committed.revision == (await store.load()).revision
                revisions.append(committed.revision)
        assert revisions == sorted(set(revisions))

    @promise(since="1.1")
    async def test_the_last_commit_of_each_host_is_stored_with_its_changes(
        self, store: SessionStore, opening: Opening
    ) -> None:
        # A host whose commit had an unknown outcome looks for its id.
        def commit(host: str, id_: str) -> Transaction:
            return lambda _: Changes(put=(session,), commit=Commit(host, id_))

        session = a_session()
        for host, id_ in (("one", "1"), ("two", "2"), ("one", "3")):
            told = await store.transact(commit(host, id_))
        without = await store.transact(lambda _: Changes(put=(a_session(),)))
        async with opening.open() as another:
            for snapshot in (told.snapshot, without.snapshot, await another.load()):
                assert list(snapshot.commits.items()) == [("two", "2"), ("one", "3")]

    async def test_empty_changes_write_nothing(self, store: SessionStore) -> None:
        nothing = await store.transact(lambda _: Changes())
        assert nothing.revision == 0
        assert (await store.load()).integrity is Integrity.MISSING
        before = await store.transact(lambda _: Changes(put=(a_session(),)))
        after = await store.transact(lambda _: Changes())
        assert after.revision == before.revision
        assert (await store.load()).sessions == before.snapshot.sessions

    async def test_a_commit_returns_the_integrity_of_the_state_it_read(
        self, store: SessionStore
    ) -> None:
        first = await store.transact(lambda _: Changes(put=(a_session(),)))
        second = await store.transact(lambda _: Changes(put=(a_session(),)))
        assert first.snapshot.integrity is Integrity.MISSING
        assert second.snapshot.integrity is Integrity.VERIFIED
        assert (await store.load()).integrity is Integrity.VERIFIED

    async def test_an_exception_aborts_its_transaction_and_reaches_the_caller(
        self, store: SessionStore
    ) -> None:
        before = await store.transact(lambda _: Changes(put=(a_session(),)))
        error = LookupError("changed my mind")

        def refuse(_: Snapshot) -> Changes:
            raise error

        with pytest.raises(LookupError) as caught:
            await store.transact(refuse)
        assert caught.value is error
        after = await store.load()
        assert (after.sessions, after.revision) == (before.snapshot.sessions, before.revision)
        await store.transact(lambda _: Changes(put=(a_session(),)))

    async def test_a_transaction_sees_the_commits_of_other_hosts(
        self, store: SessionStore, opening: Opening
    ) -> None:
        session = a_session()
        await store.load()
        async with opening.open() as another:
            await another.transact(lambda _: Changes(put=(session,)))
        seen: list[Snapshot] = []
        await store.transact(lambda newest: seen.append(newest) or Changes())  # type: ignore[func-returns-value]
        assert seen[-1].sessions == {session.id: session}

    async def test_other_hosts_see_all_of_a_transaction_or_none_of_it(
        self, store: SessionStore, opening: Opening
    ) -> None:
        pair = (a_session(metadata={"count": 0}), a_session(metadata={"count": 0}))
        await store.transact(lambda _: Changes(put=pair))
        written = anyio.Event()

        async def write() -> None:
            for count in range(1, 20):
                both = tuple(session.evolve(metadata={"count": count}) for session in pair)
                await store.transact(lambda _, both=both: Changes(put=both))  # type: ignore[misc]
            written.set()

        async with opening.open() as another, anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            while not written.is_set():
                first, second = (await another.load()).sessions.values()
                assert first.metadata == second.metadata

    async def test_concurrent_transactions_lose_no_update(
        self, store: SessionStore, opening: Opening
    ) -> None:
        session = a_session(metadata={"count": 0})
        await store.transact(lambda _: Changes(put=(session,)))
        async with opening.open() as another, anyio.create_task_group() as tasks:
            for opened in (store, another) * 10:
                tasks.start_soon(opened.transact, counting(session.id))
        (counted,) = (await store.load()).sessions.values()
        assert counted.metadata == {"count": 20}

    @promise(needs=Capability.MULTI_PROCESS, seconds=2)
    async def test_concurrent_processes_lose_no_update(
        self, store: SessionStore, opening: Opening
    ) -> None:
        session = a_session(metadata={"count": 0})
        await store.transact(lambda _: Changes(put=(session,)))
        async with (
            elsewhere(counts, opening, session.id) as first,
            elsewhere(counts, opening, session.id) as second,
        ):
            for other in (first, second):
                await other.step()
            async with anyio.create_task_group() as tasks:
                for other in (first, second):
                    tasks.start_soon(other.step)
                for _ in range(25):
                    await store.transact(counting(session.id))
        (counted,) = (await store.load()).sessions.values()
        assert counted.metadata == {"count": 75}

    @promise(needs=Capability.FILE_BACKED)
    async def test_commits_are_stored_in_files_of_the_workspace(
        self, store: SessionStore, opening: Opening, workspace: Path
    ) -> None:
        sessions = (a_full_session(), a_session())
        await store.transact(lambda _: Changes(put=sessions))
        there = opening.at(copied(workspace, "elsewhere"))
        async with elsewhere(reads, there) as other:
            assert await other.step() == {one.id: one.to_record() for one in sessions}

    @promise(without=Capability.FILE_BACKED)
    async def test_files_of_the_workspace_are_used_only_if_declared(
        self, store: SessionStore, workspace: Path
    ) -> None:
        before = files_of(workspace)
        await store.transact(lambda _: Changes(put=(a_full_session(),)))
        assert not changed(before, files_of(workspace)), "declare 'file-backed'"

    @promise(without=Capability.MULTI_PROCESS)
    async def test_a_second_process_is_refused_unless_declared(
        self, store: SessionStore, opening: Opening
    ) -> None:
        async with elsewhere(is_refused, opening) as other:
            assert await other.step() == Capability.MULTI_PROCESS

    async def test_a_commit_survives_the_death_of_its_process(
        self, store: SessionStore, opening: Opening
    ) -> None:
        async with elsewhere(commits, opening) as other:
            committed = await other.step()
            await other.kill()
        snapshot = await store.load()
        assert [*snapshot.sessions] == [committed]
        await store.transact(lambda _: Changes(put=(a_session(),)))

    async def test_a_cancelled_transaction_is_applied_completely_or_not_at_all(
        self, store: SessionStore
    ) -> None:
        both = (a_session(), a_session())
        with anyio.CancelScope() as scope:
            scope.cancel()
            await store.transact(lambda _: Changes(put=both))
        found = (await store.load()).sessions
        assert found in ({}, {session.id: session for session in both})
        await store.transact(lambda _: Changes(put=both))
        assert len((await store.load()).sessions) == 2

    @promise(needs=Capability.REPAIR)
    async def test_an_outdated_token_replaces_nothing(self, store: SessionStore) -> None:
        session = a_session()
        before = await store.transact(lambda _: Changes(put=(session,)))
        recovered = a_session()
        after = await store.replace_corrupt("stale", Snapshot({recovered.id: recovered}))
        assert after.revision == before.revision
        for snapshot in (after.snapshot, await store.load()):
            assert snapshot.sessions == {session.id: session}

    @promise(needs=Capability.WATCH)
    async def test_watching_reports_the_changes_of_other_processes(
        self, store: SessionStore, opening: Opening
    ) -> None:
        news = anyio.Event()

        async def follow() -> None:
            async for _ in store.watch():
                news.set()

        async with elsewhere(commits, opening) as other, anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            with anyio.fail_after(PATIENCE):
                while not news.is_set():
                    await other.step()
                    with anyio.move_on_after(0.2):
                        await news.wait()
                last = await other.step()
                while last not in (await store.load()).sessions:
                    news = anyio.Event()
                    await news.wait()
            tasks.cancel_scope.cancel()

    @promise(since="1.1", without=Capability.REPAIR)
    async def test_replacing_corrupt_data_is_refused_unless_declared(
        self, store: SessionStore
    ) -> None:
        with pytest.raises(UnsupportedCapabilityError) as caught:
            await store.replace_corrupt("any", Snapshot())
        assert caught.value.capability == Capability.REPAIR

    @promise(without=Capability.WATCH)
    async def test_watching_is_refused_unless_declared(self, store: SessionStore) -> None:
        with anyio.fail_after(PATIENCE / 3), pytest.raises(UnsupportedCapabilityError) as caught:
            await anext(store.watch())
        assert caught.value.capability == Capability.WATCH


def counting(session_id: str) -> Callable[[Snapshot], Changes]:
    """Return a transaction that increments a count in the metadata of a session."""

    def count(newest: Snapshot) -> Changes:
        session = newest.sessions[session_id]
        match session.metadata:
            case {"count": int(number)}:
                return Changes(put=(session.evolve(metadata={"count": number + 1}),))
        raise LookupError(f"the metadata is lost: {session.metadata!r}")

    return count


async def counts(opening: Opening, session_id: str) -> AsyncIterator[None]:
    """In another process: open the store; then increment the count twenty-five times."""
    async with opening.open() as store:
        yield
        for _ in range(25):
            await store.transact(counting(session_id))
        yield


async def commits(opening: Opening) -> AsyncIterator[str]:
    """In another process: commit a new session at each step; yield its id."""
    async with opening.open() as store:
        while True:
            session = a_session()
            await store.transact(lambda _, new=session: Changes(put=(new,)))
            yield session.id


async def reads(opening: Opening) -> AsyncIterator[dict[str, Any]]:
    """In another process: yield the records of all sessions, by id."""
    async with opening.open() as store:
        found = (await store.load()).sessions
        yield {session_id: session.to_record() for session_id, session in found.items()}


async def is_refused(opening: Opening) -> AsyncIterator[str | None]:
    """In another process: yield the missing capability because of which it cannot be opened."""
    try:
        async with opening.open() as store:
            await store.load()
    except UnsupportedCapabilityError as error:
        yield error.capability
    yield None
