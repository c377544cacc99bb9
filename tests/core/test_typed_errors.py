"""Each method of the manager raises an error of frith, whatever a provider raises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from frith import FrithError, SessionManager

from .managers import manager
from .world import World

NO_DESCRIPTORS = OSError(24, "Too many open files")

Method = Callable[[SessionManager, str], Awaitable[Any]]
METHODS: dict[str, Method] = {
    "create": lambda m, _: m.create_session("two"),
    "create without a name": lambda m, _: m.create_session(),
    "update": lambda m, id_: m.update_session(id_, name="other", metadata={"n": 1}),
    "update status": lambda m, id_: m.update_session_status(id_, "waiting"),  # type: ignore[arg-type]
    "update activity": lambda m, id_: m.update_last_activity(id_),
    "stop": lambda m, id_: m.stop_session(id_),
    "destroy": lambda m, id_: m.destroy_session(id_),
    "destroy with cleanup": lambda m, id_: m.destroy_session(id_, cleanup=True),
    "inspect": lambda m, id_: m.inspect_session(id_),
    "open terminal": lambda m, id_: m.open_terminal(id_, ended=True),
    "look for another": lambda m, _: m.update_last_activity("another"),
    "holder": lambda m, id_: m.holder(id_),
    "load": lambda m, _: m.load_sessions(),
    "save": lambda m, _: m.save_sessions(),
    "rebuild": lambda m, _: m.rebuild_from_worktrees(),
    "diagnose": lambda m, _: m.diagnose(),
    "repair": lambda m, _: m.repair(),
}
FAULTS: list[BaseException] = [
    NO_DESCRIPTORS,
    ExceptionGroup("", [ExceptionGroup("", [NO_DESCRIPTORS])]),
    SystemExit(3),
]


async def called(
    method: Method, fault: BaseException | None = None, step: str = "", times: int = 0
) -> list[str]:
    """Call the method with one running session; return the steps that it takes."""
    world = World()
    async with manager(world) as m:
        session = await m.create_session("one")
        world.calls.clear()
        if fault is not None:
            world.faults[step] = [*[None] * times, fault]  # type: ignore[list-item]
        with suppress(FrithError):
            await method(m, session.id)
        steps = list(world.calls)
        world.faults.clear()
    return steps


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_method_raises_only_errors_of_frith(method: Method) -> None:
    steps = await called(method)
    for number, step in enumerate(steps):
        for fault in FAULTS:
            await called(method, fault, step, steps[:number].count(step))


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize("step", ["load", "open store", "transact", "locate"])
async def test_opening_raises_only_errors_of_frith(step: str) -> None:
    for fault in FAULTS:
        world = World()
        world.faults[step] = [fault]  # type: ignore[list-item]
        with suppress(FrithError):
            async with manager(world) as m:
                await m.create_session("one")


@pytest.mark.requirement("R2.10")
async def test_a_resumption_that_fails_with_an_error_of_the_system_leaves_the_session_as_before(
    world: World,
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one", start=False)
        world.faults["spawn"] = [NO_DESCRIPTORS]
        with pytest.raises(FrithError, match="Too many open files") as failed:
            await m.resume_session(session.id)
        assert failed.value.__cause__ is NO_DESCRIPTORS
        assert world.stored(session.id) == session == m.get_session(session.id)
        assert world.living() == []
        assert world.claims == {}
