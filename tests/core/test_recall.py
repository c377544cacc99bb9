"""The output of ended processes: available to any host until the session is destroyed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import MappingProxyType

import pytest

from frith import Capability, SessionManager
from frith.errors import (
    ProviderFailedError,
    RemovalBlockedError,
    SessionNotRunningError,
    TerminalError,
)
from frith.model import Reservation, Session, Snapshot
from waiting import until

from .managers import FakePlugin, manager
from .world import World

Opens = Callable[..., AbstractAsyncContextManager[SessionManager]]
ABILITIES = [Capability.WATCH, Capability.ADOPT, Capability.RECALL]


@pytest.fixture
def recalling(world: World) -> Opens:
    """Open managers whose terminal provider keeps what ended processes wrote."""
    world.adoptable = True
    return partial(manager, world, capabilities=ABILITIES)


@pytest.fixture
async def over(world: World, recalling: Opens) -> Session:
    """A session whose process has ended, and whose host is gone."""
    async with recalling() as m:
        session = await m.create_session("one")
        world.terminals[0].end(code=3)
        return await m.wait_ended(session.id)


def fill_the_disk_once_a_process_runs(world: World) -> None:
    async def fill_the_disk() -> None:
        world.faults["transact"] = [OSError("full")]

    world.meanwhile["spawn"] = [fill_the_disk]


async def test_another_host_opens_an_ended_terminal_on_request(
    world: World, recalling: Opens, over: Session
) -> None:
    async with recalling() as m:
        assert await m.open_terminal(over.id, ended=True) is world.terminals[0]
        with pytest.raises(SessionNotRunningError):
            await m.open_terminal(over.id)


async def test_while_a_process_runs_its_own_terminal_is_opened(
    world: World, recalling: Opens, over: Session
) -> None:
    async with recalling() as m:
        await m.resume_session(over.id)
        _, second = world.terminals
        assert await m.open_terminal(over.id, ended=True) is second
        async with recalling() as other:
            assert await other.open_terminal(over.id, ended=True) is second


async def test_where_no_output_is_kept_no_ended_terminal_can_be_opened(
    world: World, recalling: Opens, over: Session
) -> None:
    world.forgotten.add(over.id)
    async with recalling() as m:
        with pytest.raises(SessionNotRunningError):
            await m.open_terminal(over.id, ended=True)


async def test_a_session_that_never_ran_has_no_ended_terminal(recalling: Opens) -> None:
    async with recalling() as m:
        session = await m.create_session("one", start=False)
        with pytest.raises(SessionNotRunningError):
            await m.open_terminal(session.id, ended=True)


async def test_a_provider_that_keeps_nothing_is_not_asked(world: World) -> None:
    async with manager(world, capabilities=[Capability.WATCH]) as m:
        session = await m.create_session("one")
        world.terminals[0].end(code=0)
        await m.wait_ended(session.id)
        assert await m.open_terminal(session.id, ended=True) is world.terminals[0], "it ran here"
        await m.destroy_session(session.id)
    assert not {"recall", "forget"} & set(world.calls)


@pytest.mark.parametrize("cleanup", [True, False])
async def test_destroying_a_session_removes_its_output(
    world: World, recalling: Opens, over: Session, cleanup: bool
) -> None:
    forgotten: list[bool] = []

    async def look() -> None:
        forgotten.append(over.id in world.forgotten)

    async with recalling() as m:
        world.meanwhile["transact"] = [look] * 10
        await m.destroy_session(over.id, cleanup=cleanup)
    assert world.forgotten == {over.id}
    assert forgotten[-1], "a host that is killed now has it still on record"


async def test_a_session_whose_output_cannot_be_forgotten_is_destroyed_all_the_same(
    world: World, recalling: Opens, over: Session, caplog: pytest.LogCaptureFixture
) -> None:
    world.faults["forget"] = [TerminalError("not now")]
    async with recalling() as m:
        await m.destroy_session(over.id)
        assert m.get_all_sessions() == ()
    assert "output_not_forgotten" in caplog.text


async def test_a_destruction_that_is_refused_keeps_the_output(
    world: World, recalling: Opens, over: Session
) -> None:
    world.faults["remove"] = [RemovalBlockedError(over.worktree_path, ["in use"])]
    async with recalling() as m:
        with pytest.raises(RemovalBlockedError):
            await m.destroy_session(over.id, cleanup=True)
        assert await m.open_terminal(over.id, ended=True) is world.terminals[0]
    assert world.forgotten == set()


async def test_a_removal_that_is_finished_at_start_removes_the_output(
    world: World, recalling: Opens, over: Session
) -> None:
    world.write(over.detail(removing=True))
    world.worktrees.clear()
    async with recalling() as m:
        assert m.get_all_sessions() == ()
    assert world.forgotten == {over.id}


async def test_a_creation_that_is_undone_leaves_nothing_to_recall(
    world: World, recalling: Opens
) -> None:
    fill_the_disk_once_a_process_runs(world)
    async with recalling() as m:
        with pytest.raises(ProviderFailedError, match="full"):
            await m.create_session("one")
    (terminal,) = world.terminals
    assert world.forgotten == {terminal.session_id}


async def test_a_creation_that_is_undone_at_the_next_start_leaves_nothing_to_recall(
    world: World, recalling: Opens, over: Session
) -> None:
    reservation = Reservation(
        id=over.id,
        name="two",
        branch="feature/two",
        worktree_path="/workspace/.worktrees/two",
        created_at=over.created_at,
        creates_branch=True,
    )
    world.put(Snapshot(reservations=MappingProxyType({over.id: reservation}), revision=9))
    async with recalling() as m:
        assert m.get_all_sessions() == ()
    assert world.forgotten == {over.id}


async def test_ending_a_process_without_a_record_removes_its_output(
    world: World, recalling: Opens
) -> None:
    async with recalling() as m:
        session = await m.create_session("one")
    world.write()
    world.markers.clear()
    async with recalling(restore=False) as m:
        await m.repair()
    assert world.forgotten == {session.id}


async def test_a_start_that_cannot_be_recorded_leaves_nothing_to_recall(
    world: World, recalling: Opens, over: Session
) -> None:
    fill_the_disk_once_a_process_runs(world)
    async with recalling() as m:
        with pytest.raises(ProviderFailedError, match="full"):
            await m.resume_session(over.id)
    assert world.forgotten == {over.id}


async def test_resuming_in_another_terminal_provider_removes_the_output_of_the_first(
    world: World, recalling: Opens, over: Session
) -> None:
    world.write(over.detail(terminal="other"))
    other = FakePlugin(world, ABILITIES, name="other")
    async with recalling(other) as m:
        await m.resume_session(over.id)
    assert world.forgotten == {over.id}


async def test_a_session_that_another_host_destroyed_leaves_nothing_in_this_one(
    world: World, recalling: Opens
) -> None:
    async with recalling() as m, recalling() as other:
        session = await m.create_session("one")
        world.terminals[0].end(code=0)
        await m.wait_ended(session.id)
        assert m.terminal(session.id) is world.terminals[0]
        await other.destroy_session(session.id)
        await until(lambda: m._engine.processes.ended(session.id) is None)
