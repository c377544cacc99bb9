"""Claims on sessions: see :meth:`frith.ports.SessionStore.claim`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from frith.errors import ClaimHeldError
from frith.model import Changes, Snapshot
from frith.ports import Holder, SessionStore
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.process import elsewhere
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.suites.store.open_store import OpenStoreConformance

ID = a_session().id


class ClaimConformance(OpenStoreConformance, suite="store"):
    """Promises about claims."""

    async def test_a_claim_is_held_while_its_context_is_open(
        self, store: SessionStore, opening: Opening
    ) -> None:
        assert await store.holder(ID) is Holder.FREE
        async with opening.open() as another:
            async with store.claim(ID) as claim:
                assert claim.session_id == ID
                assert await store.holder(ID) is Holder.HELD
                assert await another.holder(ID) is Holder.HELD
            assert await store.holder(ID) is Holder.FREE
            assert await another.holder(ID) is Holder.FREE

    async def test_a_claim_is_refused_at_once_while_another_is_held(
        self, store: SessionStore, opening: Opening
    ) -> None:
        async with opening.open() as another, store.claim(ID):
            for opened in (store, another):
                with anyio.fail_after(PATIENCE), pytest.raises(ClaimHeldError) as caught:
                    async with opened.claim(ID):
                        pytest.fail("claimed twice")
                assert caught.value.session_id == ID
            assert await another.holder(ID) is Holder.HELD

    @promise(since="1.1")
    async def test_the_description_of_a_holder_is_one_line_or_empty(
        self, store: SessionStore, opening: Opening
    ) -> None:
        async with opening.open() as another, store.claim(ID):
            for opened in (store, another):
                assert len((await opened.holder_info(ID)).splitlines()) <= 1

    async def test_claims_on_different_sessions_are_independent(self, store: SessionStore) -> None:
        other = a_session().id
        async with store.claim(ID):
            assert await store.holder(other) is Holder.FREE
            async with store.claim(other):
                pass
            assert await store.holder(ID) is Holder.HELD

    async def test_one_of_several_concurrent_claims_succeeds(
        self, store: SessionStore, opening: Opening
    ) -> None:
        refusals = 0
        all_tried = anyio.Event()

        async def compete(opened: SessionStore) -> None:
            nonlocal refusals
            try:
                async with opened.claim(ID):
                    await all_tried.wait()
            except ClaimHeldError:
                refusals += 1
                if refusals == 9:
                    all_tried.set()

        async with opening.open() as another:
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    for opened in (store, another) * 5:
                        tasks.start_soon(compete, opened)
        assert refusals == 9

    async def test_the_fence_grows_with_every_claim(
        self, store: SessionStore, opening: Opening
    ) -> None:
        fences = []
        async with opening.open() as another:
            for opened in (store, another, store):
                async with opened.claim(ID) as claim:
                    fences.append(claim.fence)
        async with elsewhere(claims, opening, ID) as other:
            fences.append(await other.step())
        async with store.claim(ID) as claim:
            fences.append(claim.fence)
        assert fences == sorted(set(fences))

    @promise(since="1.1")
    async def test_a_transaction_sees_the_fence_of_the_newest_claim(
        self, store: SessionStore, opening: Opening
    ) -> None:
        async def told() -> int | None:
            fences: list[int | None] = []

            def look(newest: Snapshot) -> Changes:
                fences[:] = [newest.fences.get(ID)]
                return Changes(put=(a_session(),))

            await store.transact(look)
            return fences[0]

        assert await told() is None
        async with store.claim(ID) as claim:
            assert await told() == claim.fence
        async with opening.open() as another, another.claim(ID) as claim:
            assert await told() == claim.fence
        async with elsewhere(claims, opening, ID) as other:
            fence = await other.step()
            assert await told() == fence

    async def test_an_error_in_its_context_frees_a_claim(self, store: SessionStore) -> None:
        with pytest.raises(LookupError):
            async with store.claim(ID):
                raise LookupError
        assert await store.holder(ID) is Holder.FREE

    async def test_cancellation_of_its_context_frees_a_claim(self, store: SessionStore) -> None:
        with anyio.CancelScope() as scope:
            async with store.claim(ID):
                scope.cancel()
                await anyio.sleep_forever()
        assert await store.holder(ID) is Holder.FREE
        async with store.claim(ID):
            pass

    async def test_the_claim_of_another_process_is_held_until_its_death(
        self, store: SessionStore, opening: Opening
    ) -> None:
        async with elsewhere(claims, opening, ID) as other:
            await other.step()
            assert await store.holder(ID) is Holder.HELD
            with pytest.raises(ClaimHeldError):
                async with store.claim(ID):
                    pytest.fail("claimed twice")
            await other.kill()
            with anyio.fail_after(PATIENCE):
                # The kernel releases a lock at once, a lease expires some time later.
                while await store.holder(ID) is not Holder.FREE:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            async with store.claim(ID):
                assert await store.holder(ID) is Holder.HELD


async def claims(opening: Opening, session_id: str) -> AsyncIterator[int]:
    """In another process: claim a session, and yield the fence."""
    async with opening.open() as store, store.claim(session_id) as claim:
        yield claim.fence
