"""Corrupt data, and data of a newer version."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from frith.errors import CorruptStoreError, StoreVersionError
from frith.model import Changes, Session, Snapshot
from frith.ports import SessionStore
from frith.providers import Capability, ProviderSpec
from frith_testing.harness.base import Opening
from frith_testing.harness.files import changed, files_of
from frith_testing.harness.process import Elsewhere, elsewhere
from frith_testing.harness.promises import promise
from frith_testing.harness.report import DOES_NOT_APPLY
from frith_testing.harness.samples import a_full_session, a_session
from frith_testing.suites.store.open_store import OpenStoreConformance


class CorruptionConformance(OpenStoreConformance, suite="store"):
    """Promises about corrupt data and newer versions."""

    @pytest.fixture
    async def damage(
        self, provider: ProviderSpec, opening: Opening, workspace: Path
    ) -> Callable[[], None]:
        """Return a function that corrupts the stored data: it halves each file of the store.

        Override it for a provider without files, or one that would not notice this.
        """
        if not provider.capabilities >= {Capability.FILE_BACKED, Capability.CHECKSUMMED}:
            pytest.skip(f"{DOES_NOT_APPLY}neither 'checksummed' nor the fixture 'damage'")
        untouched = files_of(workspace)

        def cut() -> None:
            now = files_of(workspace)
            for name in changed(untouched, now):
                (workspace / name).write_bytes(now[name][: len(now[name]) // 2])

        return cut

    @pytest.fixture
    def make_newer(self) -> Callable[[], None]:
        """Return a function that turns the stored data into that of a newer version.

        Override it: without, the promise is reported as not applicable.
        """
        pytest.skip(f"{DOES_NOT_APPLY}the fixture 'make_newer' is not defined")

    @promise(needs=Capability.REPAIR)
    async def test_a_corrupt_store_is_reported_until_it_is_replaced(
        self, store: SessionStore, opening: Opening, damage: Callable[[], None]
    ) -> None:
        session, recovered = a_session(), a_full_session()
        await store.transact(lambda _: Changes(put=(session,)))
        damage()
        async with opening.open() as another:
            with pytest.raises(CorruptStoreError) as first:
                await another.load()
            with pytest.raises(CorruptStoreError) as second:
                await another.transact(lambda _: Changes(put=(a_session(),)))
            assert second.value.token == first.value.token
            await another.replace_corrupt(first.value.token, Snapshot({recovered.id: recovered}))
            repaired = await another.load()
            assert repaired.sessions == {recovered.id: recovered}
        assert (await store.load()).sessions == repaired.sessions

    @promise(needs=Capability.REPAIR)
    async def test_a_second_repair_of_the_same_damage_changes_nothing(
        self, store: SessionStore, opening: Opening, damage: Callable[[], None]
    ) -> None:
        recovered, later = a_full_session(), a_session()
        await store.transact(lambda _: Changes(put=(a_session(),)))
        damage()
        token = await token_of(opening)
        async with opening.open() as first, opening.open() as second:
            await first.replace_corrupt(token, Snapshot({recovered.id: recovered}))
            await first.transact(lambda _: Changes(put=(later,)))
            again = await second.replace_corrupt(token, Snapshot({recovered.id: recovered}))
            assert again.snapshot.sessions.keys() == {recovered.id, later.id}
        async with opening.open() as another:
            assert (await another.load()).sessions == {recovered.id: recovered, later.id: later}

    async def test_one_of_several_concurrent_repairs_takes_effect(
        self, store: SessionStore, opening: Opening, damage: Callable[[], None]
    ) -> None:
        await store.transact(lambda _: Changes(put=(a_session(),)))
        damage()
        repairs: list[list[str]] = []

        async def repair(other: Elsewhere) -> None:
            repairs.append(await other.step())

        async with AsyncExitStack() as stack:
            others = [elsewhere(repairs_and_adds, opening, a_session()) for _ in range(3)]
            opened = [await stack.enter_async_context(other) for other in others]
            for other in opened:
                await other.step()
            async with anyio.create_task_group() as tasks:
                for other in opened:
                    tasks.start_soon(repair, other)
        async with opening.open() as another:
            left = (await another.load()).sessions.keys()
        added = {added for _, added in repairs}
        repaired = {repaired for repaired, _ in repairs}
        assert added <= left
        assert len(left & repaired) == 1

    @promise(needs=Capability.REPAIR)
    async def test_a_repair_keeps_the_corrupt_data(
        self,
        store: SessionStore,
        opening: Opening,
        damage: Callable[[], None],
        workspace: Path,
    ) -> None:
        if Capability.FILE_BACKED not in opening.spec.capabilities:
            pytest.skip(f"{DOES_NOT_APPLY}'file-backed' is not declared")
        session = a_session()
        before = files_of(workspace)
        await store.transact(lambda _: Changes(put=(session,)))
        damage()
        after = files_of(workspace)
        damaged = [after[name] for name in changed(before, after)]
        async with opening.open() as another:
            for _ in range(2):
                with pytest.raises(CorruptStoreError):
                    await another.load()
            assert files_of(workspace) == after
            await another.replace_corrupt(await token_of(opening), Snapshot())
        kept = files_of(workspace).values()
        largest = max(damaged, key=len)
        assert largest in kept

    async def test_data_of_a_newer_version_is_refused_and_not_changed(
        self,
        store: SessionStore,
        opening: Opening,
        make_newer: Callable[[], None],
        workspace: Path,
    ) -> None:
        await store.transact(lambda _: Changes(put=(a_session(),)))
        make_newer()
        before = files_of(workspace)
        async with opening.open() as another:
            with pytest.raises(StoreVersionError):
                await another.load()
            with pytest.raises(StoreVersionError):
                await another.transact(lambda _: Changes(put=(a_session(),)))
            if Capability.REPAIR in opening.spec.capabilities:
                with pytest.raises(StoreVersionError):
                    await another.replace_corrupt("any", Snapshot())
        assert {name: files_of(workspace)[name] for name in before} == before


async def token_of(opening: Opening) -> str:
    """Return the token of what is stored and corrupt."""
    async with opening.open() as store:
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
    return caught.value.token


async def repairs_and_adds(opening: Opening, session: Session) -> AsyncIterator[list[str]]:
    """In another process: open; repair with a session of its own, add another, yield both ids."""
    repaired = a_session()
    async with opening.open() as store:
        yield []
        try:
            await store.load()
        except CorruptStoreError as error:
            await store.replace_corrupt(error.token, Snapshot({repaired.id: repaired}))
        await store.transact(lambda _: Changes(put=(session,)))
        yield [repaired.id, session.id]
