"""Background tasks: out of reach of the host's cancellation, and ended by closing."""

from __future__ import annotations

import pytest
from anyio import CancelScope, Event, create_task_group, fail_after, sleep_forever

from spinney._tasks import Tasks
from spinney.model import Integrity, Snapshot

from .managers import manager
from .world import World


async def test_a_cancellation_of_the_host_does_not_reach_a_task() -> None:
    ended = Event()

    async def work() -> None:
        try:
            await sleep_forever()
        finally:
            ended.set()

    with CancelScope() as host:
        async with create_task_group() as task_group:
            tasks = Tasks(task_group)
            tasks.start(work)
            host.cancel()
            with CancelScope(shield=True):
                assert not ended.is_set()
                await tasks.cancel()
    assert ended.is_set()


async def test_a_task_that_a_task_starts_while_it_ends_is_ended_too() -> None:
    begun: list[str] = []

    async def last() -> None:
        begun.append("last")
        await sleep_forever()

    async def first() -> None:
        try:
            await sleep_forever()
        finally:
            tasks.start(last)

    with fail_after(5):
        async with create_task_group() as task_group:
            tasks = Tasks(task_group)
            tasks.start(first)
            await tasks.cancel()
            tasks.start(last)
    assert set(begun) <= {"last"}


async def test_one_task_can_be_ended_alone() -> None:
    async with create_task_group() as task_group:
        tasks = Tasks(task_group)
        stays, goes = Event(), Event()

        async def work(event: Event) -> None:
            try:
                await sleep_forever()
            finally:
                event.set()

        tasks.start(work, stays)
        task = tasks.start(work, goes)
        await task.cancel()
        assert not stays.is_set()
        await tasks.cancel()


@pytest.mark.requirement("R3.6")
async def test_a_host_leaves_though_the_store_vanished_just_before(world: World) -> None:
    for _ in range(20):
        with fail_after(5):
            async with manager(world) as opened:
                session = await opened.create_session(start=False)
                world.put(Snapshot(integrity=Integrity.MISSING))
        world.markers.pop(session.id, None)
        world.snapshot = Snapshot(integrity=Integrity.MISSING)
