"""An operation that is cancelled at any await is undone or complete."""

from __future__ import annotations

from typing import Any

import pytest
from anyio import CancelScope, sleep_forever

from frith import Capability, Holder, Session, SessionManager
from frith.model import SessionStatus
from frith.ports import MarkerState

from .cancellation import at_every_await
from .managers import Witness, manager
from .world import World, a_reservation, a_session, as_running

Interrupt = Any
"""What :func:`at_every_await` gives a case."""


async def check_whole(world: World, m: SessionManager, session: Session) -> None:
    """Check that ``session`` is the stored record, and the same in memory."""
    if not world.living():
        await m.wait_ended(session.id)
    assert world.snapshot.reservations == {}
    known = m.get_session(session.id)
    assert known is not None
    assert known.worktree_path in world.worktrees
    assert world.markers[session.id].state is MarkerState.LIVE
    running = [t for t in world.living() if t.session_id == session.id]
    if running:
        assert known.pty_pid == world.stored(session.id).pty_pid == running[0].pid
        assert m.terminal(session.id) is running[0]
        assert session.id in world.claims
    else:
        assert known.pty_pid is world.stored(session.id).pty_pid is None
        assert session.id not in world.claims


def stopped(world: World) -> Session:
    session = world.inhabit(a_session())
    world.write(session)
    return session


@pytest.mark.requirement("R2.2")
@pytest.mark.parametrize(
    "wish",
    [
        {"name": "one"},
        {},
        {"name": "one", "start": False},
        {"name": "one", "branch": "main", "existing": True},
    ],
    ids=str,
)
async def test_a_creation_cancelled_at_any_await_is_undone_or_complete(
    wish: dict[str, Any], witness: Witness
) -> None:
    async def case(interrupt: Interrupt) -> None:
        world = World()
        async with manager(world, witness) as m:
            cancelled = await interrupt(m.create_session(**wish))
            if world.sessions():
                await check_whole(world, m, world.sessions()[0])
                await m.destroy_session(world.sessions()[0].id, cleanup=True)
                world.branches &= {"main"}
            else:
                assert cancelled
            assert world.nothing_left()
            assert await m.create_session(**wish)
        assert world.claims == {}
        assert world.living() == []

    assert await at_every_await(case) > 8


@pytest.mark.requirement("R2.2")
async def test_a_sharing_cancelled_at_any_await_is_undone_or_complete() -> None:
    async def case(interrupt: Interrupt) -> None:
        world = World()
        async with manager(world) as m:
            one = await m.create_session("one")
            await interrupt(m.create_session("two", one.branch, existing=True, share=True))
            for session in world.sessions():
                await check_whole(world, m, session)
            assert set(world.markers) == set(world.claims) == set(world.snapshot.sessions)
            assert list(world.worktrees) == [one.worktree_path]

    assert await at_every_await(case) > 8


@pytest.mark.requirement("R2.10")
@pytest.mark.parametrize("was", ["stopped", "without worktree", "left by a dead owner"])
async def test_a_resumption_cancelled_at_any_await_leaves_the_session_whole(was: str) -> None:
    async def case(interrupt: Interrupt) -> None:
        world = World()
        session = stopped(world)
        async with manager(world) as m:
            if was == "without worktree":
                world.worktrees.clear()
            elif was == "left by a dead owner":
                world.write(as_running(session))
                world.leftovers[session.id] = (4711,)
            await interrupt(m.resume_session(session.id))
            if world.living() or was == "stopped":
                await check_whole(world, m, session)
            assert world.claims.keys() == {t.session_id for t in world.living()}
            if not world.living():
                assert (await m.resume_session(session.id)).pty_pid
                await check_whole(world, m, session)
                assert world.leftovers == {}

    assert await at_every_await(case) > 8


@pytest.mark.parametrize("running", [True, False])
async def test_a_stop_cancelled_at_any_await_leaves_the_session_whole(running: bool) -> None:
    async def case(interrupt: Interrupt) -> None:
        world = World()
        session = stopped(world)
        async with manager(world) as m:
            if running:
                await m.resume_session(session.id)
            await interrupt(m.stop_session(session.id))
            await check_whole(world, m, session)
            assert (await m.stop_session(session.id)).status is SessionStatus.STOPPED
            await check_whole(world, m, session)

    assert await at_every_await(case) > 2


async def test_a_stop_of_what_a_dead_host_left_cancelled_at_any_await() -> None:
    async def case(interrupt: Interrupt) -> None:
        world = World()
        world.adoptable = True
        keeping = [Capability.WATCH, Capability.ADOPT]
        async with manager(world, capabilities=keeping) as gone:
            session = await gone.create_session("one")
        async with manager(world, capabilities=keeping, restore=False) as m:
            await interrupt(m.stop_session(session.id))
            assert bool(world.claims) == (m._engine.processes.get(session.id) is not None)
            assert (await m.stop_session(session.id)).status is SessionStatus.STOPPED
            await check_whole(world, m, session)
        assert world.claims == {}
        assert world.living() == []

    assert await at_every_await(case) > 8


@pytest.mark.requirement("R2.7")
@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("cleanup", [True, False])
async def test_a_destruction_cancelled_at_any_await_is_complete_or_did_not_happen(
    running: bool, cleanup: bool
) -> None:
    async def case(interrupt: Interrupt) -> None:
        world = World()
        session = stopped(world)
        async with manager(world) as m:
            if running:
                await m.resume_session(session.id)
            await interrupt(m.destroy_session(session.id, cleanup))
            if world.sessions():
                await check_whole(world, m, session)
                known = m.get_session(session.id)
                assert known is not None
                assert not known.details.removing
                await m.destroy_session(session.id, cleanup)
            assert m.get_all_sessions() == ()
            assert (session.worktree_path in world.worktrees) is not cleanup
            assert session.branch in world.branches
            assert world.claims == {}
            assert world.living() == []
            if not cleanup:
                assert world.markers[session.id].state is MarkerState.RELEASED

    assert await at_every_await(case) > 8


@pytest.mark.parametrize("cleanup", [True, False])
async def test_a_destruction_of_what_another_owns_cancelled_at_any_await(
    cleanup: bool, hasty: None
) -> None:
    async def case(interrupt: Interrupt) -> None:
        world = World()
        async with manager(world) as owner, manager(world) as m:
            session = await owner.create_session()
            await interrupt(m.destroy_session(session.id, cleanup))
            assert world.claims.keys() <= {session.id}
            if world.sessions() and not world.living():
                await owner.wait_ended(session.id)
                assert await m.holder(session.id) is Holder.FREE
                await m.destroy_session(session.id, cleanup)
        assert world.claims == {}
        assert world.living() == []

    assert await at_every_await(case) > 8


async def test_a_manager_cancelled_at_any_await_of_its_life_leaves_nothing_running() -> None:
    async def life(world: World, witness: Witness) -> None:
        async with manager(world, witness) as m:
            session = await m.create_session("one")
            await m.create_session("two", start=False)
            await m.update_last_activity(session.id)

    async def case(interrupt: Interrupt) -> None:
        world = World()
        await interrupt(life(world, Witness()))
        assert world.living() == []
        assert world.claims == {}
        assert world.watchers == []
        assert world.snapshot.reservations == {}
        assert len(world.worktrees) == len(world.sessions())
        assert {session.status for session in world.sessions()} <= {SessionStatus.IDLE}
        async with manager(world, restore=False) as m:
            for session in world.sessions():
                await check_whole(world, m, session)

    assert await at_every_await(case) > 30


@pytest.mark.requirement("R4.1")
async def test_a_start_cancelled_at_any_await_leaves_the_next_one_what_it_did_not_do() -> None:
    async def start(world: World) -> None:
        async with manager(world):
            pass

    async def case(interrupt: Interrupt) -> None:
        world = World()
        left, going, dead = a_session("left"), a_session("going"), a_session("dead")
        for session in (left, going):
            world.inhabit(session)
        world.inhabit(dead, MarkerState.CREATING)
        world.write(as_running(left), going.detail(removing=True))
        world.reserve(a_reservation(dead))
        world.leftovers[left.id] = (4711,)
        await interrupt(start(world))
        assert world.claims == {}
        assert world.watchers == []
        async with manager(world) as m:
            assert {s.id: s.status for s in m.get_all_sessions()} == {
                left.id: SessionStatus.IDLE,
                going.id: SessionStatus.STOPPED,
            }
            for session in (left, going):
                await check_whole(world, m, session)
            assert set(world.worktrees) == {left.worktree_path, going.worktree_path}
            assert world.leftovers == {}
        assert world.snapshot.reservations == {}

    assert await at_every_await(case) > 8


async def test_a_host_cancelled_inside_its_manager_is_just_cancelled(world: World) -> None:
    with CancelScope() as scope:
        async with manager(world) as m:
            session = await m.create_session("one")
            scope.cancel()
            await sleep_forever()
    assert scope.cancelled_caught
    assert world.stored(session.id).status is SessionStatus.IDLE
    assert world.living() == []
    assert world.claims == {}
