"""Diagnosing and repairing differences between record, worktrees, owners and markers."""

from __future__ import annotations

import pytest

from frith import Finding, Session, SessionStatus
from frith.model import Snapshot
from frith.ports import Marker, MarkerState, Presence

from .fakes import FakeSpawner
from .managers import manager
from .world import World, a_reservation, a_session, as_running


@pytest.fixture
def one(world: World) -> Session:
    """A stopped session with a worktree."""
    session = world.inhabit(a_session("one"))
    world.write(session)
    return session


def codes(findings: tuple[Finding, ...]) -> set[tuple[str, str | None, bool]]:
    return {(finding.code, finding.session_id, finding.repaired) for finding in findings}


async def test_where_all_is_as_it_should_be_nothing_is_found_and_nothing_done(
    world: World, one: Session
) -> None:
    async with manager(world) as m:
        running = await m.create_session("running")
        assert await m.diagnose() == ()
        assert await m.repair() == ()
        assert "repair" not in world.calls
        assert m.get_session(running.id) == running


async def test_a_risk_of_the_terminal_is_found_and_nothing_is_repaired(
    world: World, one: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def warnings(self: FakeSpawner) -> tuple[str, ...]:
        return ("a logout ends everything",)

    monkeypatch.setattr(FakeSpawner, "warnings", warnings)
    async with manager(world) as m:
        (finding,) = await m.diagnose()
        assert finding == Finding("TERMINAL_AT_RISK", "a logout ends everything", is_risk=True)
        assert await m.repair() == (finding,)
        assert "repair" not in world.calls


@pytest.mark.requirement("R4.4")
async def test_a_missing_worktree_is_found_with_how_to_re_create_it(
    world: World, one: Session
) -> None:
    world.worktrees.clear()
    async with manager(world) as m:
        (finding,) = await m.diagnose()
        assert (finding.code, finding.session_id) == ("WORKTREE_MISSING", one.id)
        assert one.worktree_path in finding.message
        assert "resuming" in finding.message
        assert codes(await m.repair()) == {("WORKTREE_MISSING", one.id, False)}
        assert m.get_session(one.id) is not None


@pytest.mark.parametrize("gone", [False, True])
async def test_a_removal_that_was_cut_off_is_found_and_settled(
    gone: bool, world: World, one: Session
) -> None:
    async with manager(world) as m:
        world.write(one.detail(removing=True))
        if gone:
            world.worktrees.clear()
        (finding,) = await m.diagnose()
        assert (finding.code, finding.session_id) == ("REMOVAL_UNFINISHED", one.id)
        assert codes(await m.repair()) == {("REMOVAL_UNFINISHED", one.id, True)}
        assert (m.get_session(one.id) is None) == gone
        assert await m.diagnose() == ()


async def test_a_removal_by_a_living_owner_is_not_a_finding(world: World, one: Session) -> None:
    async with manager(world) as m:
        world.write(one.detail(removing=True))
        world.worktrees.clear()
        world.claims[one.id] = 1
        assert await m.diagnose() == ()


async def test_a_worktree_that_leads_elsewhere_is_found_with_the_reason(
    world: World, one: Session
) -> None:
    world.presence[one.id] = Presence.REDIRECTED
    async with manager(world) as m:
        (finding,) = await m.diagnose()
        assert (finding.code, finding.session_id) == ("WORKTREE_REDIRECTED", one.id)
        assert "redirected by the configuration" in finding.message


@pytest.mark.requirement("R4.4")
async def test_a_worktree_that_was_moved_is_found_and_repaired(world: World) -> None:
    moved = world.inhabit(a_session("moved"))
    there = moved.worktree_path
    elsewhere = moved.evolve(worktree_path="/old/.worktrees/x")
    world.write(elsewhere)
    world.markers[moved.id] = Marker(elsewhere, MarkerState.LIVE)
    world.presence[moved.id] = Presence.MOVED
    async with manager(world) as m:
        assert codes(await m.diagnose()) == {("WORKTREE_MOVED", moved.id, False)}
        assert codes(await m.repair()) == {("WORKTREE_MOVED", moved.id, True)}
        assert world.stored(moved.id).worktree_path == there
        assert world.markers[moved.id].session.worktree_path == there
        assert await m.diagnose() == ()


async def test_a_worktree_whose_presence_is_unknown_is_found_and_left_alone(
    world: World, one: Session
) -> None:
    world.presence[one.id] = Presence.UNKNOWN
    async with manager(world) as m:
        assert codes(await m.diagnose()) == {("WORKTREE_UNKNOWN", one.id, False)}


@pytest.mark.requirement("R4.3")
async def test_an_owner_that_is_gone_is_found_and_its_session_made_idle(
    world: World, one: Session
) -> None:
    async with manager(world, restore=False) as m:
        world.write(as_running(one))
        world.leftovers[one.id] = (4711,)
        assert codes(await m.diagnose()) == {("OWNER_GONE", one.id, False)}
        assert world.leftovers != {}
        assert codes(await m.repair()) == {("OWNER_GONE", one.id, True)}
        assert world.stored(one.id).status is SessionStatus.IDLE
        assert world.leftovers == {}


@pytest.mark.parametrize("holders", ["unknown_holders", "expired_holders"])
async def test_an_owner_that_may_be_alive_is_found_and_nothing_is_repaired(
    holders: str, world: World, one: Session
) -> None:
    running = as_running(one)
    world.write(running)
    getattr(world, holders).add(one.id)
    async with manager(world) as m:
        assert codes(await m.diagnose()) == {("OWNER_UNKNOWN", one.id, False)}
        assert codes(await m.repair()) == {("OWNER_UNKNOWN", one.id, False)}
        assert world.stored(one.id) == running


async def test_a_living_owner_is_not_a_finding(world: World, one: Session) -> None:
    async with manager(world) as owner, manager(world) as m:
        await owner.resume_session(one.id)
        assert await m.diagnose() == ()


async def test_a_creation_that_was_cut_off_is_found_and_undone(world: World, one: Session) -> None:
    dead, living = a_session("dead"), a_session("living")
    world.claims[living.id] = 1
    async with manager(world) as m:
        world.inhabit(dead, MarkerState.CREATING)
        world.reserve(a_reservation(dead), a_reservation(living))
        assert codes(await m.diagnose()) == {("CREATION_UNFINISHED", dead.id, False)}
        assert codes(await m.repair()) == {("CREATION_UNFINISHED", dead.id, True)}
        assert dead.worktree_path not in world.worktrees
        assert list(world.snapshot.reservations) == [living.id]


@pytest.mark.requirement("R5.3")
async def test_a_worktree_without_a_record_is_found_and_taken_up(
    world: World, one: Session
) -> None:
    async with manager(world) as m:
        lost = world.inhabit(a_session("lost"))
        (finding,) = await m.diagnose()
        assert (finding.code, finding.session_id) == ("RECORD_MISSING", lost.id)
        assert lost.worktree_path in finding.message
        assert world.sessions() == [one]
        assert codes(await m.repair()) == {("RECORD_MISSING", lost.id, True)}
        assert world.stored(lost.id) == lost


async def test_a_record_that_differs_from_its_marker_is_found_and_corrected(
    world: World, one: Session
) -> None:
    async with manager(world) as m:
        world.write(one.evolve(name="edited"))
        assert codes(await m.diagnose()) == {("RECORD_DIFFERS", one.id, False)}
        assert codes(await m.repair()) == {("RECORD_DIFFERS", one.id, True)}
        assert world.stored(one.id).name == "one"


async def test_diagnosing_changes_nothing(world: World, one: Session) -> None:
    async with manager(world, restore=False) as m:
        world.write(as_running(one.evolve(name="edited")))
        world.inhabit(a_session("lost"))
        world.reserve(a_reservation(a_session("dead")))
        before: Snapshot = world.snapshot
        assert len(await m.diagnose()) == 4
        assert world.snapshot is before
        assert world.claims == {}


async def test_every_finding_says_what_is_wrong_and_what_repairing_would_do(
    world: World, one: Session
) -> None:
    async with manager(world, restore=False) as m:
        world.write(as_running(one.evolve(name="edited")))
        world.inhabit(a_session("lost"))
        world.reserve(a_reservation(a_session("dead")))
        for finding in await m.diagnose():
            assert finding.message
            assert finding.remedy
            assert not finding.repaired
