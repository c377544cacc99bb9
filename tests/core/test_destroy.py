"""Destroying a session: what is removed, what stays, and how work is protected."""

from __future__ import annotations

from typing import Any

import pytest

from frith import AtStake, Session, SessionManager, SessionStatus, SessionVetoed, hookimpl
from frith.errors import (
    CommitOutcomeUnknownError,
    ProviderFailedError,
    RemovalBlockedError,
    SessionNotFoundError,
    SessionOwnedError,
    StoreError,
    TerminalError,
    VetoHookFailedError,
    WorkAtStakeError,
    WorkspaceError,
)
from frith.events import SessionDestroyed, SessionDestroying
from frith.ports import MarkerState

from .managers import Witness, manager
from .world import World, a_reservation, a_session, as_running

WORK = AtStake(untracked=(".env",))


@pytest.fixture
def one(world: World) -> Session:
    """A stopped session with a worktree."""
    session = world.inhabit(a_session("one"))
    world.write(session)
    return session


def check_untouched(world: World, m: SessionManager, session: Session) -> None:
    known = m.get_session(session.id)
    assert known is not None
    assert not known.details.removing
    assert session.id in world.snapshot.sessions
    assert session.worktree_path in world.worktrees
    assert session.branch in world.branches
    assert world.markers[session.id].state is MarkerState.LIVE


@pytest.mark.requirement("R2.7")
@pytest.mark.requirement("R5.5")
async def test_the_record_goes_and_worktree_and_branch_stay(world: World, one: Session) -> None:
    async with manager(world) as m:
        await m.destroy_session(one.id)
        assert m.get_session(one.id) is None
        assert world.sessions() == []
        assert one.worktree_path in world.worktrees
        assert one.branch in world.branches
        assert world.markers[one.id].state is MarkerState.RELEASED
        assert world.claims == {}
    world.vanish()
    async with manager(world) as m:
        assert m.get_all_sessions() == ()
        assert await m.rebuild_from_worktrees() == ()


@pytest.mark.requirement("R2.7")
async def test_with_cleanup_the_worktree_goes_too_and_the_branch_stays(
    world: World, one: Session
) -> None:
    async with manager(world) as m:
        await m.destroy_session(one.id, cleanup=True)
        assert world.sessions() == []
        assert world.worktrees == {}
        assert one.branch in world.branches


@pytest.mark.requirement("R2.7")
async def test_the_process_of_a_destroyed_session_is_ended_first(
    world: World, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        await m.destroy_session(session.id, True)
        assert world.living() == []
        assert world.sessions() == []
        assert world.claims == {}
        assert world.calls.index("terminate") < world.calls.index("remove")
        (event,) = witness.seen(SessionDestroyed)
        assert (event.session.id, event.session.status) == (session.id, SessionStatus.STOPPED)
        assert (event.session.pty_pid, event.cleanup) == (None, True)


async def test_the_steps_of_a_destruction_come_in_order(world: World, one: Session) -> None:
    async with manager(world) as m:
        world.calls.clear()
        await m.destroy_session(one.id, cleanup=True)
        steps = ["inspect", "claim", "inspect", "remember removing", "remove", "release"]
        found = [call for call in world.calls if call in steps]
        assert found == steps


@pytest.mark.requirement("R2.6")
async def test_a_session_that_does_not_exist_cannot_be_destroyed(world: World) -> None:
    async with manager(world) as m:
        with pytest.raises(SessionNotFoundError):
            await m.destroy_session("nobody")
        with pytest.raises(SessionNotFoundError):
            await m.inspect_session("nobody")


@pytest.mark.requirement("R2.8")
async def test_work_at_stake_is_said_and_nothing_is_done(world: World, witness: Witness) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        world.at_stake[session.worktree_path] = WORK
        with pytest.raises(WorkAtStakeError) as refused:
            await m.destroy_session(session.id, cleanup=True)
        assert refused.value.at_stake == await m.inspect_session(session.id) == WORK
        assert "1 untracked (.env)" in str(refused.value)
        check_untouched(world, m, session)
        assert len(world.living()) == 1
        assert witness.seen(SessionDestroying) == []


@pytest.mark.requirement("R2.8")
async def test_work_that_a_dying_process_leaves_is_not_lost(world: World) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")

        async def leave_work() -> None:
            world.at_stake[session.worktree_path] = WORK

        world.meanwhile["terminate"] = [leave_work]
        with pytest.raises(WorkAtStakeError):
            await m.destroy_session(session.id, cleanup=True)
        check_untouched(world, m, session)
        assert world.stored(session.id).status is SessionStatus.STOPPED
        assert world.claims == {}


@pytest.mark.requirement("R2.8")
async def test_work_that_appears_at_the_last_moment_is_not_lost(world: World, one: Session) -> None:
    async def leave_work() -> None:
        world.at_stake[one.worktree_path] = WORK

    async with manager(world) as m:
        world.meanwhile["remove"] = [leave_work]
        with pytest.raises(WorkAtStakeError):
            await m.destroy_session(one.id, cleanup=True)
        check_untouched(world, m, one)
        world.at_stake.clear()
        await m.destroy_session(one.id, cleanup=True)


@pytest.mark.requirement("R2.8")
async def test_force_destroys_work(world: World, one: Session, witness: Witness) -> None:
    world.at_stake[one.worktree_path] = WORK
    async with manager(world, witness) as m:
        await m.destroy_session(one.id, cleanup=True, force=True)
        assert world.worktrees == {}
        (event,) = witness.seen(SessionDestroying)
        assert (event.force, event.cleanup, event.at_stake) == (True, True, WORK)


@pytest.mark.requirement("R2.8")
async def test_without_cleanup_nothing_is_at_stake(
    world: World, one: Session, witness: Witness
) -> None:
    world.at_stake[one.worktree_path] = WORK
    async with manager(world, witness) as m:
        await m.destroy_session(one.id)
        assert "inspect" not in world.calls
        assert witness.seen(SessionDestroying)[0].at_stake == AtStake()


@pytest.mark.requirement("R2.9")
async def test_what_blocks_a_removal_blocks_force_too(world: World, one: Session) -> None:
    world.at_stake[one.worktree_path] = AtStake(blocked=("it is the main worktree",))
    async with manager(world) as m:
        with pytest.raises(RemovalBlockedError, match="it is the main worktree"):
            await m.destroy_session(one.id, cleanup=True, force=True)
        check_untouched(world, m, one)


@pytest.mark.requirement("R2.9")
@pytest.mark.requirement("R2.5")
async def test_a_worktree_goes_with_the_last_session_in_it(world: World) -> None:
    async with manager(world) as m:
        one = await m.create_session("one")
        two = await m.create_session("two", one.branch, existing=True, share=True)
        for session in (one, two):
            with pytest.raises(RemovalBlockedError, match="uses it too") as refused:
                await m.destroy_session(session.id, cleanup=True, force=True)
            assert len(refused.value.reasons) == 1
        await m.destroy_session(one.id)
        assert one.worktree_path in world.worktrees
        await m.destroy_session(two.id, cleanup=True)
        assert world.worktrees == {}


@pytest.mark.requirement("R2.9")
async def test_a_session_that_is_being_created_in_a_worktree_blocks_its_removal(
    world: World, one: Session
) -> None:
    other = a_session("other", worktree_path=one.worktree_path)
    world.claims[other.id] = 1

    async def join() -> None:
        world.reserve(a_reservation(other))

    async with manager(world) as m:
        world.meanwhile["claim"] = [join]
        with pytest.raises(RemovalBlockedError, match="session other"):
            await m.destroy_session(one.id, cleanup=True, force=True)
        check_untouched(world, m, one)


@pytest.mark.requirement("R2.9")
async def test_a_session_that_joins_a_worktree_at_the_last_moment_blocks_its_removal(
    world: World, one: Session
) -> None:
    other = a_session("other", worktree_path=one.worktree_path)

    async def join() -> None:
        world.write(*world.sessions(), other)

    async with manager(world, capabilities=()) as m:
        world.meanwhile["inspect"] = [world_pause, join]
        with pytest.raises(RemovalBlockedError, match="session other"):
            await m.destroy_session(one.id, cleanup=True, force=True)
        check_untouched(world, m, one)


async def world_pause() -> None:
    """Let nothing happen."""


@pytest.mark.requirement("R6.4")
@pytest.mark.parametrize("cleanup", [True, False])
async def test_a_plugin_may_veto(cleanup: bool, world: World) -> None:
    class Guard:
        @hookimpl
        async def frith_session_destroying(self, event: SessionDestroying) -> None:
            raise SessionVetoed(f"{event.session.name} is precious")

    async with manager(world, Guard()) as m:
        session = await m.create_session("one")
        with pytest.raises(SessionVetoed, match="Refused by plugin 'own-0': one is precious"):
            await m.destroy_session(session.id, cleanup)
        check_untouched(world, m, session)
        assert len(world.living()) == 1


@pytest.mark.requirement("R6.4")
async def test_a_veto_hook_that_breaks_stops_a_removal_and_no_other_destruction(
    world: World, one: Session, logged: list[Any]
) -> None:
    class Broken:
        @hookimpl
        async def frith_session_destroying(self) -> None:
            raise RuntimeError("broken")

    async with manager(world, Broken()) as m:
        with pytest.raises(VetoHookFailedError):
            await m.destroy_session(one.id, cleanup=True)
        check_untouched(world, m, one)
        await m.destroy_session(one.id)


@pytest.mark.requirement("R3.7")
async def test_a_session_that_another_owns_is_stopped_there_and_destroyed_here(
    world: World, witness: Witness, hasty: None
) -> None:
    async with manager(world, witness) as owner, manager(world) as m:
        session = await owner.create_session("one")
        await m.destroy_session(session.id, cleanup=True)
        assert world.living() == []
        assert world.sessions() == []
        assert world.worktrees == {}
    assert world.claims == {}


async def test_an_owner_that_does_not_let_go_keeps_its_session(
    world: World, hasty: None, impatient: None
) -> None:
    session = world.inhabit(as_running(a_session("one")))
    world.write(session)
    world.claims[session.id] = 1
    async with manager(world, terminate_grace=0) as m:
        with pytest.raises(SessionOwnedError):
            await m.destroy_session(session.id, cleanup=True)
        check_untouched(world, m, session)


async def test_a_session_whose_owner_is_unknown_is_not_destroyed(
    world: World, one: Session, witness: Witness
) -> None:
    world.unknown_holders.add(one.id)
    async with manager(world, witness) as m:
        with pytest.raises(SessionOwnedError) as refused:
            await m.destroy_session(one.id)
        assert not refused.value.certain
        assert witness.seen(SessionDestroying) == []


@pytest.mark.requirement("R4.3")
async def test_what_a_dead_owner_left_running_is_ended(world: World, one: Session) -> None:
    async with manager(world, capabilities=()) as m:
        world.write(as_running(one))
        world.leftovers[one.id] = (4711,)
        await m.destroy_session(one.id)
        assert world.leftovers == {}


async def test_a_session_that_another_process_has_just_created_can_be_destroyed(
    world: World,
) -> None:
    async with manager(world, capabilities=()) as m:
        session = world.inhabit(a_session("one"))
        world.write(session)
        await m.destroy_session(session.id)
        assert world.sessions() == []


async def test_a_missing_worktree_is_no_obstacle(world: World, one: Session) -> None:
    world.worktrees.clear()
    async with manager(world) as m:
        await m.destroy_session(one.id, cleanup=True)
        assert world.sessions() == []


@pytest.mark.parametrize(
    ("step", "faults"),
    [
        ("load", [StoreError("x")]),
        ("holder", [StoreError("x")]),
        ("inspect", [WorkspaceError("x")]),
        ("claim", [StoreError("x")]),
        ("inspect", [None, WorkspaceError("x")]),
        ("transact", [None, StoreError("x")]),
        ("remove", [WorkspaceError("x")]),
        ("remove", [RuntimeError("x")]),
    ],
)
async def test_a_step_that_fails_leaves_a_session_that_can_be_destroyed_again(
    step: str, faults: list[Exception | None], world: World, one: Session, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        world.faults[step] = list(faults)
        with pytest.raises((StoreError, WorkspaceError, ProviderFailedError), match="x"):
            await m.destroy_session(one.id, cleanup=True)
        check_untouched(world, m, one)
        assert world.claims == {}
        assert witness.seen(SessionDestroyed) == []
        await m.destroy_session(one.id, cleanup=True)
        assert world.sessions() == []


async def test_a_record_that_cannot_be_removed_stays_though_its_worktree_is_gone(
    world: World, one: Session
) -> None:
    async with manager(world) as m:
        world.faults["write"] = [None, StoreError("disk full")]
        with pytest.raises(StoreError):
            await m.destroy_session(one.id, cleanup=True)
        known = m.get_session(one.id)
        assert known is not None
        assert not known.details.removing
        assert (await m.resume_session(one.id)).worktree_path in world.worktrees


async def test_a_process_that_cannot_be_ended_keeps_its_session(world: World) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.faults["terminate"] = [TerminalError("does not die")]
        with pytest.raises(TerminalError):
            await m.destroy_session(session.id, cleanup=True)
        check_untouched(world, m, session)
        assert session.id in world.claims
        await m.destroy_session(session.id, cleanup=True)
        assert world.claims == {}


async def test_a_session_that_another_program_removed_meanwhile_is_not_found(
    world: World, one: Session
) -> None:
    async def remove() -> None:
        world.write()

    async with manager(world, capabilities=()) as m:
        world.meanwhile["inspect"] = [world_pause, remove]
        with pytest.raises(SessionNotFoundError):
            await m.destroy_session(one.id, cleanup=True)
        assert one.worktree_path in world.worktrees
        assert world.claims == {}


@pytest.mark.parametrize("cleanup", [False, True])
@pytest.mark.parametrize("failure", [CommitOutcomeUnknownError("lost"), StoreError("refused")])
async def test_a_session_whose_record_may_be_gone_is_not_brought_back_by_its_marker(
    failure: StoreError, cleanup: bool, world: World, one: Session, logged: list[Any]
) -> None:
    async with manager(world) as m:

        async def go_away() -> None:
            world.faults["written"] = [CommitOutcomeUnknownError("lost")]
            world.faults["transact"] = [None, *[failure] * 3]

        world.meanwhile["remove" if cleanup else "remember released"] = [go_away]
        with pytest.raises(CommitOutcomeUnknownError, match="lost"):
            await m.destroy_session(one.id, cleanup=cleanup)
        assert world.sessions() == []
        if not cleanup:
            assert world.markers[one.id].state is MarkerState.RELEASED
        world.faults.clear()
    world.vanish()
    async with manager(world) as m:
        assert m.get_all_sessions() == ()


@pytest.mark.requirement("R5.5")
@pytest.mark.parametrize("gone", [True, False])
async def test_a_removal_that_a_crash_cut_off_is_finished_or_undone_at_the_next_start(
    gone: bool, world: World, one: Session
) -> None:
    world.write(one.detail(removing=True))
    world.inhabit(one, MarkerState.REMOVING)
    if gone:
        world.worktrees.clear()
        world.markers.clear()
    async with manager(world) as m:
        assert (m.get_session(one.id) is None) is gone
        if not gone:
            check_untouched(world, m, one)


@pytest.mark.requirement("R5.5")
async def test_a_session_stays_if_nothing_would_keep_a_rebuild_from_bringing_it_back(
    world: World, one: Session
) -> None:
    async with manager(world, capabilities=()) as m:
        world.faults["remember released"] = [OSError(28, "disk full")]
        with pytest.raises(ProviderFailedError, match="disk full"):
            await m.destroy_session(one.id)
        check_untouched(world, m, one)
        await m.destroy_session(one.id)
        assert m.get_all_sessions() == ()


async def test_a_destruction_that_a_crash_cut_off_is_undone_at_the_next_start(
    world: World, one: Session, hasty: None
) -> None:
    world.inhabit(one, MarkerState.RELEASED)
    async with manager(world) as m:
        await m.save_sessions()
    assert world.markers[one.id].state is MarkerState.LIVE
