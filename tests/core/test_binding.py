"""A workspace has one store: a manager that is configured for another changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from frith.errors import (
    CorruptStoreError,
    InvalidWorkspaceError,
    StoreMismatchError,
    WorkspaceError,
)
from frith.model import Snapshot
from frith.ports import Marker, MarkerState

from .managers import manager
from .world import World, a_session


@pytest.fixture
def foreign(world: World) -> World:
    """A workspace whose sessions are kept elsewhere; its worktrees remember one."""
    world.bound = "another"
    session = world.inhabit(a_session("one"))
    world.markers[session.id] = Marker(session, MarkerState.LIVE)
    return world


async def test_creating_binds_the_workspace(world: World) -> None:
    async with manager(world) as m:
        assert world.bound is None
        await m.create_session("one")
        assert world.bound == "fake"


async def test_a_start_binds_a_workspace_that_has_sessions(world: World) -> None:
    world.write(a_session("one"))
    async with manager(world):
        assert world.bound == "fake"


async def test_a_start_with_another_store_is_refused_before_anything_is_rebuilt(
    foreign: World,
) -> None:
    before = foreign.snapshot
    with pytest.raises(StoreMismatchError) as caught:
        async with manager(foreign):
            pass
    assert (caught.value.bound, caught.value.configured) == ("another", "fake")
    assert (foreign.snapshot, foreign.writes) == (before, 0)
    assert "rebuild" not in foreign.calls


async def test_a_start_that_only_looks_is_refused_where_it_would_have_to_rebuild(
    foreign: World,
) -> None:
    with pytest.raises(StoreMismatchError):
        async with manager(foreign, restore=False):
            pass
    assert "rebuild" not in foreign.calls


async def test_a_corrupt_state_of_another_store_is_left_as_it_is(foreign: World) -> None:
    foreign.corrupt = CorruptStoreError("the file", "broken", "token")
    with pytest.raises(StoreMismatchError):
        async with manager(foreign):
            pass
    assert foreign.corrupt is not None


async def test_a_manager_that_only_looks_changes_nothing_in_another_store(world: World) -> None:
    session = a_session("one")
    world.write(session)
    async with manager(world, restore=False) as m:
        world.bound = "another"
        with pytest.raises(StoreMismatchError):
            await m.update_session(session.id, current_phase="review")
        assert world.stored(session.id).current_phase is None
        world.bound = "fake"
        await m.update_session(session.id, current_phase="review")


async def test_of_two_stores_that_were_opened_at_once_one_is_used(world: World) -> None:
    async with manager(world) as m:
        world.bound = "another"
        with pytest.raises(StoreMismatchError):
            await m.create_session("one")
    assert world.snapshot == Snapshot(integrity=world.snapshot.integrity)
    assert world.worktrees == {}
    assert world.claims == {}


async def test_where_it_cannot_be_told_which_store_a_workspace_has_nothing_is_changed(
    world: World, logged: list[Any]
) -> None:
    session = a_session("one")
    world.write(session)
    world.faults["bind"] = [WorkspaceError("cannot be read")] * 3
    async with manager(world) as m:
        assert m.get_session(session.id) == session
        with pytest.raises(WorkspaceError, match="cannot be read"):
            await m.update_session(session.id, current_phase="review")
        assert world.stored(session.id).current_phase is None
        await m.update_session(session.id, current_phase="review")
    assert "store_not_bound" in [entry["event"] for entry in logged]


async def test_where_there_is_no_repository_any_more_records_can_be_changed(
    world: World, logged: list[Any]
) -> None:
    session = a_session("one")
    world.write(session)
    world.faults["bind"] = [InvalidWorkspaceError(world.bound or "", "gone")] * 9
    async with manager(world) as m:
        await m.update_session(session.id, current_phase="review")
    assert world.stored(session.id).current_phase == "review"
