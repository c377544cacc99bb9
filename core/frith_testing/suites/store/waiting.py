"""A store that waits for the transaction of another process."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from frith.model import Changes, Snapshot
from frith.ports import SessionStore
from frith.providers import Capability
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.process import Elsewhere, elsewhere
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.suites.store.open_store import OpenStoreConformance

TICK = 0.01
"""Seconds between two ticks of the event loop."""


class WaitingConformance(OpenStoreConformance, suite="store"):
    """Promises about waiting for other processes."""

    @pytest.fixture
    async def held(
        self, store: SessionStore, opening: Opening, tmp_path: Path
    ) -> AsyncIterator[Path]:
        """Keep another process inside a transaction until the returned path exists."""
        await store.transact(lambda _: Changes(put=(a_session(),)))
        began, go_on = tmp_path / "began", tmp_path / "go-on"
        async with (
            elsewhere(transacts_slowly, opening, str(began), str(go_on)) as other,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(Elsewhere.step, other)
            with anyio.fail_after(PATIENCE):
                await _appearance(began)
            try:
                yield go_on
            finally:
                go_on.touch()

    @promise(needs=Capability.MULTI_PROCESS)
    async def test_a_waiting_transaction_does_not_block_the_event_loop(
        self, store: SessionStore, held: Path
    ) -> None:
        ticks = 0

        async def release_after_ticks() -> None:
            nonlocal ticks
            while ticks < 20:
                await anyio.sleep(TICK)
                ticks += 1
            held.touch()

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(release_after_ticks)
                await store.transact(lambda _: Changes(put=(a_session(),)))
        assert ticks == 20

    @promise(needs=Capability.MULTI_PROCESS)
    async def test_a_waiting_transaction_does_not_block_loading(
        self, store: SessionStore, held: Path
    ) -> None:
        with anyio.fail_after(PATIENCE):
            assert len((await store.load()).sessions) == 1
        assert not held.exists()

    @promise(needs=Capability.MULTI_PROCESS)
    async def test_a_waiting_transaction_that_is_cancelled_ends_and_is_never_applied(
        self, store: SessionStore, held: Path, opening: Opening
    ) -> None:
        late = a_session()
        with anyio.move_on_after(10 * TICK) as scope:
            await store.transact(lambda _: Changes(put=(late,)))
        assert scope.cancelled_caught, "it was carried out although it had to wait"
        assert not held.exists(), "it was cancelled only when the other process went on"
        held.touch()
        with anyio.fail_after(PATIENCE):
            await store.transact(lambda _: Changes(put=(a_session(),)))
        async with opening.open() as another:
            assert late.id not in (await another.load()).sessions


async def _appearance(path: Path) -> None:
    while not path.exists():  # noqa: ASYNC110 - another process makes it
        await anyio.sleep(TICK)


async def transacts_slowly(opening: Opening, began: str, go_on: str) -> AsyncIterator[None]:
    """In another process: a transaction that goes on once the file ``go_on`` exists."""

    def slow(newest: Snapshot) -> Changes:
        Path(began).touch()
        deadline = time.monotonic() + PATIENCE
        while not Path(go_on).exists() and time.monotonic() < deadline:
            time.sleep(TICK)
        return Changes(put=(a_session(),))

    async with opening.open() as store:
        await store.transact(slow)
        yield
