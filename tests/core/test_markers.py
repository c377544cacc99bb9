"""Markers: up to date with the records, written by owners, reviving no destroyed session."""

from __future__ import annotations

from typing import Any

import pytest

from frith import Session, SessionStatus
from frith.errors import StoreError
from frith.ports import MarkerState
from waiting import until

from .managers import manager
from .world import World, a_session


@pytest.fixture
def one(world: World) -> Session:
    """A stopped session with a worktree."""
    session = world.inhabit(a_session("one"))
    world.write(session)
    return session


@pytest.mark.requirement("R5.3")
async def test_a_new_name_is_in_the_marker_when_its_change_returns(
    world: World, one: Session
) -> None:
    async with manager(world) as m:
        await m.update_session(one.id, name="two")
        assert world.markers[one.id].session.name == "two"


@pytest.mark.requirement("R5.3")
@pytest.mark.requirement("R3.5")
async def test_activity_status_and_metadata_reach_the_marker_within_a_second(
    world: World, one: Session, hasty: None
) -> None:
    async with manager(world) as m:
        await m.update_session_status(one.id, SessionStatus.ERROR)
        await m.update_session(one.id, metadata={"n": 1})
        await until(lambda: world.markers[one.id].session == world.stored(one.id))


async def test_a_marker_that_is_not_up_to_date_is_written_when_closing(
    world: World, one: Session
) -> None:
    async with manager(world) as m:
        await m.update_session(one.id, metadata={"n": 1})
        assert world.markers[one.id].session == one
    assert world.markers[one.id].session == world.stored(one.id)


async def test_a_marker_that_cannot_be_written_is_logged_and_not_an_error(
    world: World, one: Session, logged: list[Any]
) -> None:
    async with manager(world) as m:
        world.faults["remember live"] = [OSError(28, "disk full")]
        assert (await m.update_session(one.id, name="two")).name == "two"
    assert logged[0]["event"] == "marker_not_written"


@pytest.mark.requirement("R5.5")
@pytest.mark.parametrize("cleanup", [True, False])
async def test_a_late_update_does_not_revive_what_is_destroyed(
    cleanup: bool, world: World, one: Session
) -> None:
    async with manager(world, capabilities=()) as theirs, manager(world) as ours:
        await theirs.update_session(one.id, metadata={"n": 1})
        await ours.destroy_session(one.id, cleanup)
    assert world.sessions() == []
    marker = world.markers.get(one.id)
    assert marker is None if cleanup else marker.state is MarkerState.RELEASED  # type: ignore[union-attr]


@pytest.mark.requirement("R5.5")
async def test_a_new_name_does_not_revive_what_another_process_is_destroying(
    world: World, one: Session
) -> None:
    async with manager(world) as ours, manager(world) as theirs:

        async def rename() -> None:
            assert world.markers[one.id].state is MarkerState.RELEASED
            await theirs.update_session(one.id, name="two")

        world.meanwhile["transact"] = [pause, rename]
        await ours.destroy_session(one.id)
        assert world.markers[one.id].state is MarkerState.RELEASED
    assert world.markers[one.id].state is MarkerState.RELEASED


async def pause() -> None:
    """Let nothing happen."""


@pytest.mark.requirement("R5.5")
async def test_a_new_name_does_not_revive_what_another_process_has_just_destroyed(
    world: World, one: Session
) -> None:
    async with manager(world) as ours, manager(world, capabilities=()) as theirs:

        async def destroy() -> None:
            await ours.destroy_session(one.id)

        world.meanwhile["claim"] = [destroy]
        assert (await theirs.update_session(one.id, name="two")).name == "two"
        assert world.markers[one.id].state is MarkerState.RELEASED
    assert world.markers[one.id].state is MarkerState.RELEASED


async def test_a_new_name_of_a_session_of_another_owner_reaches_the_marker_within_a_second(
    world: World, one: Session, hasty: None
) -> None:
    async with manager(world) as owner, manager(world) as m:
        await owner.resume_session(one.id)
        await m.update_session(one.id, name="two")
        assert world.stored(one.id).name == "two"
        await until(lambda: world.markers[one.id].session.name == "two")


async def test_a_failed_destruction_leaves_a_living_marker(world: World, one: Session) -> None:
    async with manager(world) as m:
        world.faults["write"] = [StoreError("disk full")]
        with pytest.raises(StoreError):
            await m.destroy_session(one.id)
        assert world.markers[one.id].state is MarkerState.LIVE
