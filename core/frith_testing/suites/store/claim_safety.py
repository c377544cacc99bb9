"""A claim withstands other threads, hosts that look at it, cancellation and child processes."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator

import anyio
import pytest

from frith.errors import ClaimHeldError
from frith.model import Changes
from frith.ports import Holder, SessionStore
from frith.providers import Capability
from frith_testing.harness.base import Opening
from frith_testing.harness.process import elsewhere
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.suites.store.open_store import OpenStoreConformance

ID = a_session().id
CHECKPOINTS, MOMENTS, SERIES = 10, 60, 5
"""A claim is cancelled at each of its first checkpoints, then at ever later moments until it is
held; several times, because a claim is acquired in a thread, and its caller is told soon after."""
FIRST, GROWTH = 0.0005, 1.2
"""Seconds until the first cancellation after the checkpoints, and the factor to each next one."""


class ClaimSafetyConformance(OpenStoreConformance, suite="store"):
    """Promises about holding claims and releasing them."""

    @promise(since="1.1")
    async def test_a_claim_is_refused_in_every_other_thread(
        self, store: SessionStore, opening: Opening, anyio_backend_name: str
    ) -> None:
        async def refused() -> None:
            async with opening.open() as another:
                assert await another.holder(ID) is Holder.HELD
                await _require_refused(another)

        def in_thread() -> None:
            anyio.run(refused, backend=anyio_backend_name)

        async with store.claim(ID):
            await anyio.to_thread.run_sync(in_thread)
            await _require_refused(store)

    @promise(since="1.1", needs=Capability.MULTI_PROCESS)
    async def test_a_claim_survives_other_hosts_of_its_process_that_inspect_it_and_close(
        self, store: SessionStore, opening: Opening
    ) -> None:
        # Closing any descriptor of a file ends all record locks of the process on it: fcntl(2).
        async with store.claim(ID):
            for _ in range(2):
                async with opening.open() as another:
                    await another.holder(ID)
                    await _require_refused(another)
            async with elsewhere(is_refused, opening, ID) as other:
                assert await other.step() == [Holder.HELD, True]

    @promise(since="1.1")
    async def test_a_claim_cancelled_while_it_is_acquired_is_free(
        self, store: SessionStore
    ) -> None:
        for _ in range(SERIES):
            for moment in range(MOMENTS):
                was_taken = await _claim_and_cancel(store, moment)
                assert await store.holder(ID) is Holder.FREE, f"cancelled at moment {moment}"
                if was_taken:
                    break

    @promise(since="1.1")
    async def test_a_child_process_inherits_no_descriptor_of_the_store(
        self, opening: Opening
    ) -> None:
        # A process that inherits the lock of a claim holds it after the host is dead.
        before = inherited()
        async with opening.open() as store:
            await store.transact(lambda _: Changes(put=(a_session(),)))
            async with store.claim(ID):
                assert inherited() == before


async def _claim_and_cancel(store: SessionStore, moment: int) -> bool:
    """Cancel a claim at ``moment``; return whether it was taken before."""
    taken = anyio.Event()

    async def take() -> None:
        async with store.claim(ID):
            taken.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        for _ in range(min(moment, CHECKPOINTS)):
            await anyio.lowlevel.checkpoint()
        if moment > CHECKPOINTS:
            await anyio.sleep(FIRST * GROWTH ** (moment - CHECKPOINTS))
        tasks.cancel_scope.cancel()
    return taken.is_set()


async def _require_refused(store: SessionStore) -> None:
    with pytest.raises(ClaimHeldError):
        async with store.claim(ID):
            pytest.fail("claimed twice")


def inherited() -> list[str]:
    """Return the descriptors that a child of this process inherits."""
    command = ["ls", "/dev/fd"]
    done = subprocess.run(command, close_fds=False, check=True, capture_output=True, text=True)
    return done.stdout.split()


async def is_refused(opening: Opening, session_id: str) -> AsyncIterator[tuple[str, bool]]:
    """In another process: yield who holds the claim, and whether it is refused."""
    async with opening.open() as store:
        holder = await store.holder(session_id)
        try:
            async with store.claim(session_id):
                refused = False
        except ClaimHeldError:
            refused = True
        yield holder, refused
