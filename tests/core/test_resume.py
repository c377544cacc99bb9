"""Resuming: a session without a process gets a new one, in its worktree, from its only owner."""

from __future__ import annotations

from typing import Any

import pytest
from anyio import create_task_group

from frith import Session, SessionStatus, Size
from frith.errors import (
    CommandNotFoundError,
    CommitOutcomeUnknownError,
    SessionNotFoundError,
    SessionNotRunningError,
    SessionOwnedError,
    SessionRunningError,
    SpawnError,
    StoreError,
    WorkspaceError,
    WorktreeMissingError,
    WorktreeRedirectedError,
)
from frith.events import SessionStatusChanged
from frith.model import ExitStatus
from frith.ports import MarkerState, Presence

from .managers import Witness, manager
from .world import World, a_session, as_running


@pytest.fixture
def one(world: World) -> Session:
    """A stopped session with a worktree."""
    session = world.inhabit(a_session("one"))
    world.write(session)
    return session


@pytest.mark.requirement("R2.10")
@pytest.mark.parametrize("status", [SessionStatus.IDLE, SessionStatus.ERROR, SessionStatus.STOPPED])
async def test_a_session_without_a_process_gets_a_new_one(
    status: SessionStatus, world: World, one: Session, witness: Witness
) -> None:
    world.write(one.evolve(status=status).detail(exit=ExitStatus(code=3)))
    async with manager(world, witness) as m:
        session = await m.resume_session(one.id)
        assert session == world.stored(one.id) == m.get_session(one.id)
        assert session.status is SessionStatus.ACTIVE
        (terminal,) = world.living()
        assert session.pty_pid == terminal.pid
        assert terminal.request.cwd == one.worktree_path
        assert session.details.exit is None
        assert one.id in world.claims
        (event,) = witness.seen(SessionStatusChanged)
        assert (event.previous, event.session) == (status, session)


@pytest.mark.requirement("R2.1")
@pytest.mark.parametrize(
    ("given", "recorded", "expected"),
    [
        (("sh", "-i"), ("agent", "x"), ("sh", "-i")),
        (None, ("agent", "x"), ("agent", "x")),
        (None, None, ("configured",)),
    ],
)
async def test_the_command_is_the_given_else_the_last_else_the_configured(
    given: Any, recorded: Any, expected: tuple[str, ...], world: World, one: Session
) -> None:
    world.write(one.detail(command=recorded))
    async with manager(world, command=("configured",)) as m:
        session = await m.resume_session(one.id, command=given, env={"A": "b"}, size=Size(9, 9))
        assert session.details.command == expected
        request = world.terminals[0].request
        assert (request.command, request.env, request.size) == (expected, {"A": "b"}, Size(9, 9))


async def test_an_empty_command_is_refused(world: World, one: Session) -> None:
    async with manager(world) as m:
        with pytest.raises(SpawnError, match="empty"):
            await m.resume_session(one.id, command=())


@pytest.mark.requirement("R2.11")
async def test_a_missing_worktree_is_made_again_from_its_branch(world: World, one: Session) -> None:
    world.worktrees.clear()
    async with manager(world) as m:
        await m.resume_session(one.id)
        assert world.worktrees == {one.worktree_path: one.branch}
        assert world.markers[one.id].state is MarkerState.LIVE


@pytest.mark.parametrize(
    ("presence", "reason"),
    [(Presence.MOVED, "Repair the workspace first"), (Presence.UNKNOWN, "Check the file system")],
)
async def test_a_worktree_that_is_not_known_to_be_missing_is_not_made_again(
    presence: Presence, reason: str, world: World, one: Session
) -> None:
    world.presence[one.id] = presence
    async with manager(world) as m:
        with pytest.raises(WorktreeMissingError, match=reason):
            await m.resume_session(one.id)
        assert "restore" not in world.calls
        assert world.claims == {}


@pytest.mark.parametrize("point", ["write", "written"])
async def test_a_process_that_may_be_recorded_runs_on_in_this_manager(
    point: str, world: World, one: Session, logged: list[Any]
) -> None:
    async with manager(world) as m:
        world.faults[point] = [CommitOutcomeUnknownError("fsync failed")] * 4
        with pytest.raises(CommitOutcomeUnknownError):
            await m.resume_session(one.id)
        (terminal,) = world.living()
        assert one.id in world.claims
        assert m.terminal(one.id) is terminal
        world.faults.clear()
        await m.save_sessions()
        assert world.stored(one.id).pty_pid == terminal.pid
        assert world.stored(one.id).status is SessionStatus.ACTIVE
        terminal.end(code=3)
        ended = await m.wait_ended(one.id)
        assert ended.details.exit == ExitStatus(code=3)
        assert world.stored(one.id).status is SessionStatus.ERROR


@pytest.mark.parametrize("vanished", [False, True])
async def test_a_process_is_not_started_where_it_would_change_files_elsewhere(
    vanished: bool, world: World, one: Session
) -> None:
    async def redirect() -> None:
        if "restore" in world.calls or not vanished:
            world.presence[one.id] = Presence.REDIRECTED

    if vanished:
        world.worktrees.clear()
    world.meanwhile["locate"] = [redirect] * 3
    async with manager(world) as m:
        with pytest.raises(WorktreeRedirectedError, match="by the configuration"):
            await m.resume_session(one.id)
        assert "spawn" not in world.calls
        assert world.claims == {}


@pytest.mark.requirement("R2.6")
async def test_a_session_that_does_not_exist_cannot_be_resumed(world: World) -> None:
    async with manager(world) as m:
        with pytest.raises(SessionNotFoundError):
            await m.resume_session("nobody")


async def test_a_session_that_runs_here_is_running(world: World, one: Session) -> None:
    async with manager(world) as m:
        await m.resume_session(one.id)
        with pytest.raises(SessionRunningError):
            await m.resume_session(one.id)
        assert len(world.living()) == 1


@pytest.mark.requirement("R2.11")
async def test_a_session_that_another_living_process_owns_is_refused(
    world: World, one: Session
) -> None:
    world.holder_info = "process 42 on build-1"
    async with manager(world) as owner, manager(world) as m:
        await owner.resume_session(one.id)
        with pytest.raises(SessionOwnedError) as refused:
            await m.resume_session(one.id)
        assert refused.value.certain
        assert refused.value.holder == world.holder_info
        assert "by another process (process 42 on build-1)" in str(refused.value)
        assert len(world.living()) == 1


@pytest.mark.requirement("R2.11")
async def test_a_session_whose_owner_is_unknown_is_not_resumed(world: World, one: Session) -> None:
    world.unknown_holders.add(one.id)
    async with manager(world) as m:
        with pytest.raises(SessionOwnedError) as refused:
            await m.resume_session(one.id)
        assert not refused.value.certain


async def test_a_session_is_refused_also_where_its_holder_cannot_be_described(
    world: World, one: Session
) -> None:
    async with manager(world) as owner, manager(world) as m:
        await owner.resume_session(one.id)
        world.faults["holder_info"] = [StoreError("EIO")]
        with pytest.raises(SessionOwnedError) as refused:
            await m.resume_session(one.id)
        assert refused.value.holder == ""


async def test_a_session_whose_lease_has_expired_is_resumed_where_the_store_grants_the_claim(
    world: World, one: Session
) -> None:
    world.expired_holders.add(one.id)
    async with manager(world) as m:
        assert (await m.resume_session(one.id)).status is SessionStatus.ACTIVE


async def test_of_two_managers_that_resume_at_once_one_wins(world: World, one: Session) -> None:
    outcomes: list[str] = []

    async def resume(m: Any) -> None:
        try:
            await m.resume_session(one.id)
            outcomes.append("resumed")
        except SessionOwnedError:
            outcomes.append("owned")

    async with manager(world) as first, manager(world) as second:
        async with create_task_group() as tasks:
            tasks.start_soon(resume, first)
            tasks.start_soon(resume, second)
        assert sorted(outcomes) == ["owned", "resumed"]
        assert len(world.living()) == 1


async def test_of_two_tasks_that_resume_at_once_one_wins(world: World, one: Session) -> None:
    outcomes: list[str] = []

    async def resume() -> None:
        try:
            await m.resume_session(one.id)
            outcomes.append("resumed")
        except SessionRunningError:
            outcomes.append("running")

    async with manager(world) as m:
        async with create_task_group() as tasks:
            tasks.start_soon(resume)
            tasks.start_soon(resume)
        assert sorted(outcomes) == ["resumed", "running"]


@pytest.mark.requirement("R4.3")
async def test_what_a_dead_owner_left_running_is_ended_first(world: World, one: Session) -> None:
    async with manager(world, capabilities=()) as m:
        world.write(as_running(one))
        world.leftovers[one.id] = (4711,)
        await m.resume_session(one.id)
        assert world.leftovers == {}
        assert world.calls.index("sweep") < world.calls.index("spawn")


async def test_a_worktree_that_is_being_removed_cannot_be_entered(
    world: World, one: Session
) -> None:
    async with manager(world, capabilities=()) as m:
        world.write(one.detail(removing=True))
        with pytest.raises(SessionOwnedError):
            await m.resume_session(one.id)
        assert world.claims == {}


@pytest.mark.requirement("R2.10")
@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("claim", StoreError("x")),
        ("load", StoreError("x")),
        ("locate", WorkspaceError("x")),
        ("spawn", CommandNotFoundError(["agent"], "x")),
        ("transact", StoreError("x")),
        ("write", StoreError("x")),
    ],
)
async def test_a_step_that_fails_leaves_the_session_as_before(
    step: str, error: Exception, world: World, one: Session
) -> None:
    async with manager(world) as m:
        world.faults[step] = [error]
        with pytest.raises(type(error)) as failed:
            await m.resume_session(one.id)
        assert failed.value is error
        assert world.stored(one.id) == one == m.get_session(one.id)
        assert world.living() == []
        assert world.claims == {}
        with pytest.raises(SessionNotRunningError):
            m.terminal(one.id)
        assert await m.resume_session(one.id)


async def test_a_session_that_was_waiting_before_is_told_to_be_active(
    world: World, one: Session, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        world.write(one.evolve(status=SessionStatus.ACTIVE))
        await m.load_sessions()
        witness.events.clear()
        await m.resume_session(one.id)
        assert [event.session.status for event in witness.seen(SessionStatusChanged)] == [
            SessionStatus.ACTIVE
        ]
