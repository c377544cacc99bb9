"""Calls under way when the manager closes or their caller is cancelled: undone or completed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest
from anyio import Event, create_task_group, fail_after
from anyio.lowlevel import checkpoint

from frith.errors import ManagerClosedError
from frith.ports import Holder, MarkerState
from waiting import PATIENCE, until

from .managers import manager
from .world import World, a_session


@pytest.mark.requirement("R2.2")
@pytest.mark.parametrize("step", ["plan", "create", "spawn", "remember creating"])
async def test_a_creation_under_way_is_undone_when_the_manager_closes(
    world: World, step: str
) -> None:
    reached, never = Event(), Event()
    errors: list[BaseException] = []

    async def hold() -> None:
        reached.set()
        await never.wait()

    async def create() -> None:
        try:
            await opened.create_session("late")
        except ManagerClosedError as error:
            errors.append(error)

    world.meanwhile[step] = [hold]
    with fail_after(PATIENCE):
        async with create_task_group() as tasks, manager(world) as opened:
            tasks.start_soon(create)
            await reached.wait()
    assert len(errors) == 1
    assert world.nothing_left()


async def test_a_call_after_closing_is_refused(world: World) -> None:
    async with manager(world) as opened:
        tasks = opened._engine.tasks
    with pytest.raises(ManagerClosedError):
        await tasks.call(checkpoint)


async def nothing() -> None:
    """Take a step without anything happening meanwhile."""


@pytest.fixture
def asyncio_only(anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("trio has no cancellation but by scopes")


@pytest.fixture
def cancels(world: World) -> Callable[..., Awaitable[None]]:
    """Cancel a call by ``Task.cancel()`` while one of its transactions is on its way."""

    async def cancel(call: Coroutine[Any, Any, object], *, after: int) -> None:
        task = asyncio.ensure_future(call)

        async def interrupt() -> None:
            task.cancel()
            await checkpoint()

        world.meanwhile["transact"] = [*[nothing] * after, interrupt]
        with pytest.raises(asyncio.CancelledError):
            await task

    return cancel


@pytest.mark.usefixtures("asyncio_only")
async def test_a_creation_that_asyncio_cancels_while_it_is_stored_is_complete(
    world: World, cancels: Callable[..., Awaitable[None]]
) -> None:
    async with manager(world) as m:
        await cancels(m.create_session("one"), after=1)
        (session,) = world.sessions()
        assert [terminal.pid for terminal in world.living()] == [session.pty_pid]
        assert session.worktree_path in world.worktrees
        assert world.markers[session.id].state is MarkerState.LIVE
        assert await m.holder(session.id) is Holder.HELD


@pytest.mark.usefixtures("asyncio_only")
async def test_a_resumption_that_asyncio_cancels_while_it_is_stored_is_complete(
    world: World, cancels: Callable[..., Awaitable[None]]
) -> None:
    session = world.inhabit(a_session("one"))
    world.write(session)
    async with manager(world) as m:
        await cancels(m.resume_session(session.id), after=0)
        assert [terminal.pid for terminal in world.living()] == [world.stored(session.id).pty_pid]
        assert await m.holder(session.id) is Holder.HELD


@pytest.mark.usefixtures("asyncio_only")
async def test_a_destruction_that_asyncio_cancels_while_it_is_stored_is_complete(
    world: World, cancels: Callable[..., Awaitable[None]]
) -> None:
    session = world.inhabit(a_session("one"))
    world.write(session)
    async with manager(world) as m:
        await cancels(m.destroy_session(session.id), after=1)
        assert world.sessions() == []
        assert await m.rebuild_from_worktrees() == ()


@pytest.mark.usefixtures("asyncio_only")
async def test_a_creation_whose_time_is_up_before_it_is_stored_is_undone(world: World) -> None:
    async with manager(world) as m:
        world.meanwhile["create"] = [anyio.sleep_forever]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(m.create_session("one"), 0.01)
        assert world.nothing_left()


async def test_a_change_under_way_ends_when_the_manager_closes(world: World) -> None:
    session = world.inhabit(a_session("one"))
    world.write(session)
    ended: list[BaseException] = []

    async def rename() -> None:
        try:
            await opened.update_session(session.id, name="two")
        except ManagerClosedError as error:
            ended.append(error)

    world.meanwhile["claim"] = [anyio.sleep_forever]
    with fail_after(PATIENCE):
        async with create_task_group() as tasks, manager(world) as opened:
            tasks.start_soon(rename)
            await until(lambda: not world.meanwhile["claim"])
    assert len(ended) == 1
    assert world.claims == {}
