"""Background tasks: not reached by a cancellation of the host, and ended in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from anyio import Event, create_task_group, move_on_after, sleep_forever
from anyio.lowlevel import checkpoint

from frith._engine.tasks import Tasks, closing


@asynccontextmanager
async def opened() -> AsyncIterator[Tasks]:
    async with create_task_group() as task_group:
        tasks = Tasks(task_group)
        yield tasks
        await tasks.cancel()


async def test_a_cancellation_of_the_host_does_not_reach_a_task() -> None:
    done, released = Event(), Event()

    async def work() -> None:
        await released.wait()
        done.set()

    async with create_task_group() as task_group:
        Tasks(task_group).start(work)
        task_group.cancel_scope.cancel()
        released.set()
    assert done.is_set()


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize("error", [RuntimeError("broken"), SystemExit("broken")], ids=repr)
async def test_what_a_task_raises_is_logged_and_goes_no_further(
    error: BaseException, logged: list[Any]
) -> None:
    async def break_down() -> None:
        raise error

    async with opened() as tasks:
        await tasks.start(break_down).cancel()
        await checkpoint()
    assert logged[0]["event"] == "task_failed"
    assert logged[0]["task"].endswith("break_down")
    assert "broken" in logged[0]["reason"]


async def test_a_task_has_ended_when_cancelling_it_returns() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await sleep_forever()
        finally:
            ended.append("work")

    async with opened() as tasks:
        task = tasks.start(work)
        await checkpoint()
        with move_on_after(0):
            await task.cancel()
        assert ended == ["work"]


async def test_a_task_that_another_starts_while_it_ends_is_ended_too() -> None:
    ended: list[str] = []

    async def late() -> None:
        try:
            await sleep_forever()
        finally:
            ended.append("late")

    async def work() -> None:
        try:
            await sleep_forever()
        finally:
            tasks.start(late)
            ended.append("work")

    async with opened() as tasks:
        tasks.start(work)
        await checkpoint()
    assert ended == ["work", "late"]


async def test_a_generator_is_closed_however_its_iteration_ends() -> None:
    closed: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(9):
                yield number
        finally:
            closed.append(number)

    async def use() -> None:
        async with closing(numbers()) as items:
            async for number in items:
                raise KeyError(number)

    with pytest.raises(KeyError):
        await use()
    assert closed == [0]


async def test_an_iterator_that_is_not_a_generator_is_iterated_and_not_closed() -> None:
    class Numbers:
        def __init__(self) -> None:
            self.left = [1, 2]

        def __aiter__(self) -> Numbers:
            return self

        async def __anext__(self) -> int:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop()

    async with closing(Numbers()) as items:
        assert [number async for number in items] == [2, 1]
