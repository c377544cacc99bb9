"""Losing a session: another process has its claim, so this manager touches nothing of it."""

from __future__ import annotations

from typing import Any

import pytest
from anyio import create_task_group

from frith import Capability, Session, SessionManager, SessionStatus
from frith.errors import ClaimDoubtfulError, ClaimLostError, StoreError, WorkspaceError
from frith.events import ProcessExited, SessionCreationFailed, SessionLost
from frith.model import ExitStatus
from frith.ports import MarkerState
from waiting import until

from .managers import Witness, manager
from .world import World, a_session


@pytest.fixture
def one(world: World) -> Session:
    """A stopped session with a worktree."""
    session = world.inhabit(a_session("one"))
    world.write(session)
    return session


async def lose(world: World, session: Session, witness: Witness) -> None:
    """Let another process take the session over, and wait until this one knows."""
    known = len(witness.seen(SessionLost))
    world.take_away(session.id)
    await until(lambda: len(witness.seen(SessionLost)) > known)


async def test_a_lost_session_is_announced_and_no_longer_runs_here(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        (terminal,) = world.living()
        await lose(world, session, witness)
        (event,) = witness.seen(SessionLost)
        assert event.session.id == session.id
        assert terminal.detached
    assert world.living() == [terminal]
    assert "terminate" not in world.calls
    assert "collect" not in world.calls
    assert world.stored(session.id).status is SessionStatus.ACTIVE


async def test_the_end_of_a_process_that_is_another_owner_s_is_not_recorded(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        (terminal,) = world.living()
        await lose(world, session, witness)
        terminal.end(code=7)
        await m.save_sessions()
        assert witness.seen(ProcessExited) == []
    assert world.stored(session.id).details.exit is None


async def test_before_the_loss_is_noticed_a_stale_fence_keeps_changes_out(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        (terminal,) = world.living()
        world.take_away(session.id, noticed=False)
        terminal.end(code=7)
        await until(lambda: bool(witness.seen(SessionLost)))
        stored = world.stored(session.id)
        assert (stored.status, stored.details.exit) == (SessionStatus.ACTIVE, None)


async def test_a_stale_fence_fails_its_own_change_only(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    async with manager(world, witness, max_sessions=9) as m:
        sessions = [await m.create_session(name) for name in ("one", "two", "three")]
        world.take_away(sessions[1].id, noticed=False)
        for terminal in world.living():
            terminal.end(code=0)
        await until(lambda: bool(witness.seen(SessionLost)))
        for session in (sessions[0], sessions[2]):
            await m.wait_ended(session.id)
        stored = [world.stored(session.id).status for session in sessions]
        assert stored == [SessionStatus.STOPPED, SessionStatus.ACTIVE, SessionStatus.STOPPED]


async def test_a_change_that_needs_no_ownership_is_stored_whoever_owns_the_session(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        await lose(world, session, witness)
        await m.update_session(session.id, current_phase="review")
        await m.update_session_status(session.id, SessionStatus.WAITING, message="which?")
        stored = world.stored(session.id)
        assert (stored.current_phase, stored.status) == ("review", SessionStatus.WAITING)


async def test_stopping_a_lost_session_asks_its_new_owner(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        await lose(world, session, witness)

        async def owner() -> None:
            await until(lambda: world.stored(session.id).details.desired is not None)
            del world.claims[session.id]

        async with create_task_group() as tasks:
            tasks.start_soon(owner)
            await m.stop_session(session.id)
        assert "terminate" not in world.calls
        assert world.stored(session.id).status is SessionStatus.STOPPED


async def test_a_process_that_is_being_ended_when_it_is_lost_is_left_alone(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")

        async def taken() -> None:
            world.take_away(session.id)
            await until(lambda: bool(witness.seen(SessionLost)))

        world.meanwhile["terminate"] = [taken]
        with pytest.raises(ClaimLostError):
            await m.stop_session(session.id)
        assert len(world.living()) == 1


@pytest.mark.parametrize("step", ["create", "spawn", "transact"])
async def test_a_creation_that_loses_its_session_undoes_nothing_but_its_process(
    step: str, world: World, witness: Witness, logged: list[Any]
) -> None:
    recalling = [Capability.WATCH, Capability.RECALL]
    async with manager(world, witness, capabilities=recalling) as m:

        async def nothing() -> None:
            pass

        async def taken() -> None:
            (session_id,) = world.claims
            world.take_away(session_id)

        world.meanwhile[step] = [nothing, taken] if step == "transact" else [taken]
        with pytest.raises(ClaimLostError):
            await m.create_session("one")
        (reservation,) = world.snapshot.reservations.values()
        assert world.worktrees == {reservation.worktree_path: reservation.branch}
        assert reservation.branch in world.branches
        assert world.living() == []
        assert not world.forgotten
        assert len(witness.seen(SessionCreationFailed)) == 1


@pytest.mark.parametrize("cleanup", [False, True])
@pytest.mark.parametrize("noticed", [False, True])
async def test_a_removal_that_loses_its_session_takes_nothing_back(
    noticed: bool, cleanup: bool, world: World, one: Session, logged: list[Any]
) -> None:
    async with manager(world) as m:

        async def taken() -> None:
            world.take_away(one.id, noticed=noticed)

        world.meanwhile["remove" if cleanup else "remember released"] = [taken]
        with pytest.raises(ClaimLostError):
            await m.destroy_session(one.id, cleanup=cleanup)
        assert bool(world.stored(one.id).details.removing) == cleanup
        if not cleanup:
            assert world.markers[one.id].state is MarkerState.RELEASED


async def test_a_resumed_session_that_is_lost_meanwhile_gets_no_process_of_this_manager(
    world: World, one: Session, logged: list[Any]
) -> None:
    async with manager(world) as m:

        async def taken() -> None:
            world.take_away(one.id)

        world.meanwhile["spawn"] = [taken]
        with pytest.raises(ClaimLostError):
            await m.resume_session(one.id)
        assert world.living() == []
        assert world.stored(one.id) == one


async def test_deferred_changes_of_a_lost_session_are_dropped(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        (terminal,) = world.living()
        world.faults["transact"] = [StoreError("disk full")] * 3
        terminal.end(code=7)
        await until(lambda: "exit_not_stored" in [entry["event"] for entry in logged])
        world.faults.clear()
        world.take_away(session.id, noticed=False)
        await m.save_sessions()
        assert world.stored(session.id).details.exit is None
        assert "change_dropped" in [entry["event"] for entry in logged]


async def test_a_deferred_change_outlives_a_claim_that_was_given_back_and_taken_again(
    world: World, one: Session, logged: list[Any]
) -> None:
    async with manager(world) as m:
        world.faults["remove"] = [WorkspaceError("busy")]
        with pytest.raises(WorkspaceError):
            await m.destroy_session(one.id, cleanup=True)
        resumed = await m.resume_session(one.id)
        assert not resumed.details.removing
        await m.stop_session(one.id)
        assert not world.stored(one.id).details.removing
        assert (await m.resume_session(one.id)).status is SessionStatus.ACTIVE


async def test_an_end_that_could_not_be_stored_is_stored_before_the_session_is_claimed_again(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.faults["transact"] = [StoreError("disk full")]
        world.living()[0].end(code=3)
        await m.wait_ended(session.id)
        stopped = await m.stop_session(session.id)
        assert stopped.details.exit == ExitStatus(code=3)
        await m.save_sessions()
        assert world.stored(session.id).details.exit == ExitStatus(code=3)


async def test_the_output_of_a_session_that_is_lost_while_it_is_resumed_is_left_alone(
    world: World, one: Session, logged: list[Any]
) -> None:
    recalling = [Capability.WATCH, Capability.RECALL]
    async with manager(world, capabilities=recalling) as m:

        async def taken() -> None:
            world.take_away(one.id)

        world.meanwhile["transact"] = [taken]
        with pytest.raises(ClaimLostError):
            await m.resume_session(one.id)
        assert one.id not in world.forgotten


async def test_while_the_ownership_is_in_doubt_nothing_that_needs_it_is_done(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.issued[session.id].is_doubtful = True
        for attempt in (m.stop_session, m.destroy_session):
            with pytest.raises(ClaimDoubtfulError):
                await attempt(session.id)
        assert len(world.living()) == 1
        await m.update_session(session.id, current_phase="review")
        world.issued[session.id].is_doubtful = False
        await m.stop_session(session.id)
        assert world.stored(session.id).status is SessionStatus.STOPPED


async def test_an_end_that_came_while_the_ownership_was_in_doubt_is_stored_afterwards(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        (terminal,) = world.living()
        claim = world.issued[session.id]
        claim.is_doubtful = True
        terminal.end(code=7)
        await until(lambda: known(m, session).pty_pid is None)
        assert known(m, session).details.exit == ExitStatus(code=7)
        assert world.stored(session.id).details.exit is None
        with pytest.raises(ClaimDoubtfulError):
            await m.save_sessions()
        assert known(m, session).details.exit == ExitStatus(code=7)
        claim.is_doubtful = False
        await m.save_sessions()
        assert world.stored(session.id).details.exit == ExitStatus(code=7)


def known(m: SessionManager, session: Session) -> Session:
    found = m.get_session(session.id)
    assert found is not None
    return found
