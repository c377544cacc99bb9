"""Calls under way when the manager closes: cancelled, undone, and told so."""

from __future__ import annotations

import pytest
from anyio import Event, create_task_group, fail_after

from spinney.errors import ManagerClosedError
from waiting import PATIENCE

from .managers import manager
from .world import World


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
        calls = opened._parts.calls
    with pytest.raises(ManagerClosedError):
        async with calls.one():
            pass
