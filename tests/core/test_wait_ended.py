"""Waiting for the end of a process, whichever host runs it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest
from anyio import create_task_group, wait_all_tasks_blocked

from frith import Capability, Session, SessionManager, SessionStatus
from frith.errors import ManagerClosedError, SessionNotFoundError
from frith.model import ExitStatus
from frith.ports import Holder
from waiting import until

from .managers import manager
from .world import World, a_session

Opens = Callable[..., AbstractAsyncContextManager[SessionManager]]


@pytest.fixture
def opened(world: World) -> Opens:
    return partial(manager, world)


async def test_the_end_of_a_process_of_another_host_is_waited_for(
    world: World, opened: Opens, hasty: None
) -> None:
    async with opened() as theirs, opened() as ours:
        session = await theirs.create_session("one")
        found: list[Session] = []

        async def wait() -> None:
            found.append(await ours.wait_ended(session.id))

        async with create_task_group() as tasks:
            tasks.start_soon(wait)
            looked = world.calls.count("holder")
            await until(lambda: world.calls.count("holder") > looked)
            assert found == []
            world.terminals[0].end(code=3)
        assert found[0].status is SessionStatus.ERROR
        assert found[0].details.exit == ExitStatus(code=3)


async def test_a_session_that_is_not_running_is_not_waited_for(world: World, opened: Opens) -> None:
    world.write(session := a_session("one"))
    async with opened() as ours:
        assert await ours.wait_ended(session.id) == session


async def test_a_caller_that_waits_when_the_manager_closes_gets_an_error(world: World) -> None:
    world.adoptable = True
    told: list[str] = []

    async def wait() -> None:
        with pytest.raises(ManagerClosedError):
            await ours.wait_ended(session.id)
        told.append("closed")

    keeping = manager(world, capabilities=[Capability.WATCH, Capability.ADOPT])
    async with create_task_group() as tasks, keeping as ours:
        session = await ours.create_session("one")
        tasks.start_soon(wait)
        await wait_all_tasks_blocked()
    assert told == ["closed"]
    assert len(world.living()) == 1


async def test_a_session_whose_status_is_only_reported_is_not_waited_for(
    world: World, opened: Opens
) -> None:
    world.write(session := a_session("one"))
    async with opened() as ours:
        told = await ours.update_session_status(session.id, SessionStatus.ACTIVE)
        assert await ours.wait_ended(session.id) == told


async def test_a_session_that_another_host_destroys_meanwhile_is_said_to_be_gone(
    world: World, opened: Opens
) -> None:
    async with opened() as theirs, opened() as ours:
        session = await theirs.create_session("one")

        loads = world.calls.count("load")

        async def wait() -> None:
            with pytest.raises(SessionNotFoundError):
                await ours.wait_ended(session.id)

        async with create_task_group() as tasks:
            tasks.start_soon(wait)
            await until(lambda: world.calls.count("load") > loads)
            world.write()


async def test_where_the_host_of_a_process_dies_the_session_is_idle(
    world: World, opened: Opens, hasty: None
) -> None:
    async with opened() as theirs, opened() as ours:
        session = await theirs.create_session("one")
        del world.claims[session.id]
        assert (await ours.wait_ended(session.id)).status is SessionStatus.IDLE


async def test_a_process_that_outlives_its_host_is_taken_over_and_waited_for(
    world: World, hasty: None
) -> None:
    world.adoptable = True
    capabilities = [Capability.WATCH, Capability.ADOPT]
    async with manager(world, capabilities=capabilities) as theirs:
        session = await theirs.create_session("one")
    async with manager(world, capabilities=capabilities, restore=False) as ours:
        found: list[Session] = []

        async def wait() -> None:
            found.append(await ours.wait_ended(session.id))

        async with create_task_group() as tasks:
            tasks.start_soon(wait)
            await until(lambda: session.id in world.claims)
            assert await ours.holder(session.id) is Holder.HELD
            world.terminals[0].end(code=0)
        assert found[0].status is SessionStatus.STOPPED
