"""Creating a session: the order of its steps, its limits, and how it is undone."""

from __future__ import annotations

import os
import pwd
from collections.abc import Collection
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from anyio import create_task_group, sleep_forever

from frith import Holder, SessionManager, SessionVetoed, Size, hookimpl
from frith._flows import create, reserve
from frith.errors import (
    BranchBlockedError,
    BranchInUseError,
    BranchNotFoundError,
    BranchTakenError,
    CommandNotFoundError,
    CommitOutcomeUnknownError,
    FrithError,
    InvalidNameError,
    ProviderFailedError,
    SessionLimitError,
    SpawnError,
    StoreError,
    VetoHookFailedError,
    WorkspaceError,
)
from frith.events import SessionCreated, SessionCreating, SessionCreationFailed
from frith.model import AtStake, ExitStatus, SessionStatus
from frith.ports import MarkerState
from frith.providers import Role

from .fakes import FakeWorkspace
from .managers import Witness, manager
from .world import WORKSPACE, World, a_reservation, a_session


class Clock(datetime):
    """A day that does not end while a test runs."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Clock:
        return cls(2025, 11, 24, 23, 59, tzinfo=UTC)


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(reserve, "datetime", Clock)
    return "feature-2025-11-24"


async def create_many(manager: SessionManager, number: int, outcomes: list[object]) -> None:
    async def create() -> None:
        try:
            outcomes.append(await manager.create_session())
        except SessionLimitError as error:
            outcomes.append(error)

    async with create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(create)


@pytest.mark.requirement("R2.2")
@pytest.mark.requirement("R6.4")
async def test_a_creation_takes_its_steps_in_order(world: World) -> None:
    class Plugin:
        @hookimpl
        async def frith_session_creating(self) -> None:
            world.calls.append("hook creating")

        @hookimpl
        async def frith_session_created(self) -> None:
            world.calls.append("hook created")

    async with manager(world, Plugin()) as m:
        world.calls.clear()
        await m.create_session("one")
        assert world.calls == [
            "hook creating",
            "claim",
            "load",
            "plan",
            "transact",
            "create",
            "remember creating",
            "spawn",
            "transact",
            "remember live",
            "hook created",
        ]


@pytest.mark.requirement("R1.4")
@pytest.mark.requirement("R1.5")
@pytest.mark.requirement("R1.6")
async def test_a_created_session_is_recorded_whole_and_its_process_runs(world: World) -> None:
    async with manager(world) as m:
        session = await m.create_session(
            "one",
            current_phase="plan",
            metadata={"ticket": None},
            env={"A": "b"},
            size=Size(50, 90),
        )
        assert session == world.stored(session.id) == m.get_session(session.id)
        assert session.status is SessionStatus.ACTIVE
        assert (session.name, session.branch) == ("one", "feature/one")
        assert session.worktree_path == f"{WORKSPACE}/.worktrees/{session.id}"
        assert (session.current_phase, session.metadata) == ("plan", {"ticket": None})
        (terminal,) = world.living()
        assert (session.pty_pid, session.details.terminal) == (terminal.pid, "fake")
        assert session.details.owner is not None
        assert session.details.owner.pid == os.getpid()
        assert terminal.request.env == {"A": "b"}
        assert terminal.request.size == Size(50, 90)
        assert terminal.request.cwd == session.worktree_path
        assert terminal.request.workspace == WORKSPACE
        assert world.markers[session.id].state is MarkerState.LIVE
        assert world.snapshot.reservations == {}
        assert await m.holder(session.id) is Holder.HELD


@pytest.mark.requirement("R2.1")
async def test_a_session_that_is_not_started_is_idle_and_has_no_owner(world: World) -> None:
    async with manager(world) as m:
        session = await m.create_session("one", start=False)
        assert (session.status, session.pty_pid) == (SessionStatus.IDLE, None)
        assert session.details.terminal is None
        assert world.terminals == []
        assert await m.holder(session.id) is Holder.FREE


@pytest.mark.requirement("R2.1")
@pytest.mark.parametrize(
    ("given", "configured", "expected"),
    [
        (("sh", "-i"), ("agent",), ("sh", "-i")),
        (None, ("agent", "--yes"), ("agent", "--yes")),
        (None, None, (pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh",)),
    ],
)
async def test_the_command_is_the_given_else_the_configured_else_the_login_shell(
    given: Any, configured: Any, expected: tuple[str, ...], world: World
) -> None:
    async with manager(world, command=configured) as m:
        session = await m.create_session("one", command=given)
        assert session.details.command == expected
        assert world.terminals[0].request.command == expected


async def test_a_user_without_a_login_shell_gets_the_systems(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    async with manager(world, command=None) as m:
        assert (await m.create_session("one")).details.command == ("/bin/sh",)


async def test_an_empty_command_is_refused_before_anything_is_done(world: World) -> None:
    async with manager(world) as m:
        world.calls.clear()
        with pytest.raises(SpawnError, match="the command is empty"):
            await m.create_session("one", command=[])
        assert world.calls == []


@pytest.mark.requirement("R1.10")
@pytest.mark.requirement("R1.12")
async def test_an_invalid_name_is_refused_before_anything_is_done(
    world: World, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        world.calls.clear()
        with pytest.raises(InvalidNameError) as refused:
            await m.create_session("no good")
        assert world.calls == []
        (event,) = witness.seen(SessionCreationFailed)
        assert (event.error, event.left_behind) == (refused.value, ())


@pytest.mark.requirement("R1.2")
@pytest.mark.requirement("R1.10")
@pytest.mark.parametrize("name", [None, ""])
async def test_a_name_is_generated_with_the_lowest_number_free_among_sessions_and_branches(
    name: str | None, world: World, today: str
) -> None:
    world.write(a_session(f"{today}-001", branch="else"))
    world.branches.add(f"feature/{today}-002")
    world.reserve(a_reservation(a_session(f"{today}-004", branch="other")))
    async with manager(world, max_sessions=9, restore=False) as m:
        session = await m.create_session(name)
        assert (session.name, session.branch) == (f"{today}-003", f"feature/{today}-003")
        assert (await m.create_session(name)).name == f"{today}-005"


@pytest.mark.requirement("R1.2")
async def test_a_name_is_generated_however_many_branches_there_are(
    world: World, today: str
) -> None:
    world.branches |= {f"feature/{today}-{number:03d}" for number in range(1, 131)}
    async with manager(world) as m:
        assert (await m.create_session()).name == f"{today}-131"


async def test_a_generated_name_may_go_with_a_given_branch(world: World, today: str) -> None:
    async with manager(world) as m:
        session = await m.create_session(branch="fix/it")
        assert (session.name, session.branch) == (f"{today}-001", "fix/it")


@pytest.mark.requirement("R1.2")
async def test_beside_a_branch_that_blocks_every_generated_one_creating_is_refused(
    world: World, today: str
) -> None:
    world.branches.add("feature")
    async with manager(world) as m:
        for name, branch in ((None, f"feature/{today}-001"), ("one", "feature/one")):
            with pytest.raises(BranchBlockedError) as refused:
                await m.create_session(name)
            assert (refused.value.branch, refused.value.blocking) == (branch, "feature")
    world.branches.discard("feature")
    assert world.nothing_left()


async def test_beside_a_branch_that_blocks_every_generated_one_a_name_goes_with_a_given_branch(
    world: World, today: str
) -> None:
    world.branches.add("feature")
    async with manager(world) as m:
        for number, branch in enumerate(("fix/it", "fix/that"), 1):
            session = await m.create_session(branch=branch)
            assert (session.name, session.branch) == (f"{today}-{number:03d}", branch)


async def test_a_workspace_in_which_every_branch_is_taken_is_not_asked_forever(
    world: World, today: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def all_taken(self: FakeWorkspace, branches: Collection[str]) -> frozenset[str]:
        return frozenset(branches)

    monkeypatch.setattr(FakeWorkspace, "taken", all_taken)
    async with manager(world) as m:
        with pytest.raises(BranchTakenError) as refused:
            await m.create_session()
        assert refused.value.branch == f"feature/{today}-001"


async def test_an_empty_branch_counts_as_none_given(world: World) -> None:
    async with manager(world) as m:
        assert (await m.create_session("one", "")).branch == "feature/one"


@pytest.mark.requirement("R1.2")
@pytest.mark.requirement("R2.4")
@pytest.mark.parametrize("step", ["taken", "plan", "transact"])
@pytest.mark.parametrize("far", ["reserved", "branched", "created"])
async def test_a_generated_name_that_another_process_takes_meanwhile_is_passed_over(
    step: str, far: str, world: World, today: str
) -> None:
    theirs = a_session(f"{today}-001")

    async def take() -> None:
        world.claims[theirs.id] = 1
        if far == "created":
            world.write(theirs)
        else:
            world.reserve(a_reservation(theirs))
        if far != "reserved":
            world.branches.add(theirs.branch)

    async with manager(world) as m:
        world.meanwhile[step] = [take]
        assert (await m.create_session()).name == f"{today}-002"


async def test_a_generated_name_whose_branch_a_session_holds_is_passed_over(
    world: World, today: str
) -> None:
    world.write(a_session("other", branch=f"feature/{today}-001"))
    async with manager(world) as m:
        assert (await m.create_session()).name == f"{today}-002"


async def test_a_workspace_that_contradicts_itself_about_branches_is_not_asked_forever(
    world: World, today: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_taken(self: FakeWorkspace, branches: object) -> frozenset[str]:
        return frozenset()

    monkeypatch.setattr(FakeWorkspace, "taken", none_taken)
    world.branches.add(f"feature/{today}-001")
    async with manager(world) as m:
        with pytest.raises(BranchTakenError):
            await m.create_session()


@pytest.mark.requirement("R1.11")
async def test_names_may_repeat(world: World) -> None:
    async with manager(world) as m:
        one = await m.create_session("one")
        two = await m.create_session("one", "another")
        assert one.name == two.name
        assert one.id != two.id


@pytest.mark.requirement("R1.11")
async def test_a_branch_that_exists_is_an_error_of_its_own(world: World) -> None:
    world.branches.add("feature/one")
    async with manager(world) as m:
        with pytest.raises(BranchTakenError) as refused:
            await m.create_session("one")
        assert (refused.value.code, refused.value.branch) == ("BRANCH_TAKEN", "feature/one")
        world.branches.discard("feature/one")
        assert world.nothing_left()


@pytest.mark.requirement("R1.11")
async def test_a_branch_that_a_session_or_a_reservation_holds_is_taken(world: World) -> None:
    held, reserved = a_session("held"), a_session("reserved")
    world.write(held)
    world.reserve(a_reservation(reserved))
    world.claims[reserved.id] = 1
    async with manager(world) as m:
        for holder in (held, reserved):
            with pytest.raises(BranchTakenError) as refused:
                await m.create_session("new", holder.branch)
            assert refused.value.session_id == holder.id


@pytest.mark.requirement("R1.11")
async def test_an_existing_branch_is_used_where_asked_for_and_stays_when_undone(
    world: World,
) -> None:
    world.branches.add("fix")
    async with manager(world) as m:
        world.faults["spawn"] = [CommandNotFoundError(["agent"], "no such file")]
        with pytest.raises(CommandNotFoundError):
            await m.create_session("one", "fix", existing=True)
        assert world.worktrees == {}
        assert "fix" in world.branches
        session = await m.create_session("one", "fix", existing=True)
        assert world.worktrees[session.worktree_path] == "fix"


async def test_a_branch_that_should_exist_and_does_not_is_an_error(world: World) -> None:
    async with manager(world) as m:
        with pytest.raises(BranchNotFoundError):
            await m.create_session("one", "fix", existing=True)
        assert world.nothing_left()


@pytest.mark.requirement("R2.5")
async def test_a_branch_that_another_session_holds_is_shared_only_when_asked_for(
    world: World,
) -> None:
    async with manager(world) as m:
        one = await m.create_session("one")
        with pytest.raises(BranchInUseError) as refused:
            await m.create_session("two", one.branch, existing=True)
        assert refused.value.session_id == one.id
        world.calls.clear()
        two = await m.create_session("two", one.branch, existing=True, share=True)
        assert two.worktree_path == one.worktree_path
        assert "create" not in world.calls
        assert len(world.worktrees) == 1


@pytest.mark.requirement("R2.5")
async def test_a_failed_sharing_leaves_the_shared_worktree_as_it_is(world: World) -> None:
    async with manager(world) as m:
        one = await m.create_session("one")
        world.faults["spawn"] = [CommandNotFoundError(["agent"], "no such file")]
        with pytest.raises(CommandNotFoundError):
            await m.create_session("two", one.branch, existing=True, share=True)
        assert list(world.worktrees) == [one.worktree_path]
        assert list(world.markers) == [one.id]
        assert world.snapshot.reservations == {}


@pytest.mark.requirement("R2.5")
async def test_a_session_that_another_process_has_just_created_is_shared_too(
    world: World,
) -> None:
    async with manager(world, capabilities=()) as m:
        theirs = world.inhabit(a_session("theirs"))
        world.write(theirs)
        ours = await m.create_session("ours", theirs.branch, existing=True, share=True)
        assert ours.worktree_path == theirs.worktree_path


async def test_sharing_a_branch_that_no_session_holds_just_uses_it(world: World) -> None:
    world.branches.add("fix")
    async with manager(world) as m:
        session = await m.create_session("one", "fix", existing=True, share=True)
        assert session.worktree_path in world.worktrees


@pytest.mark.parametrize("step", ["load", "transact"])
async def test_a_worktree_that_is_being_removed_is_not_shared(step: str, world: World) -> None:
    theirs = world.inhabit(a_session("theirs"))
    world.write(theirs)
    world.claims[theirs.id] = 1

    async def remove() -> None:
        world.write(theirs.detail(removing=True))

    async with manager(world) as m:
        world.meanwhile[step] = [remove]
        with pytest.raises(BranchInUseError):
            await m.create_session("ours", theirs.branch, existing=True, share=True)
        assert world.snapshot.reservations == {}


@pytest.mark.requirement("R2.3")
async def test_the_fifth_session_is_refused_before_any_plugin_is_asked(
    world: World, witness: Witness
) -> None:
    world.write(*[a_session(f"s{number}") for number in range(4)])
    async with manager(world, witness) as m:
        with pytest.raises(SessionLimitError) as refused:
            await m.create_session("fifth")
        assert str(refused.value) == (
            "Maximum 4 sessions supported. Destroy a session to create a new one."
        )
        assert witness.seen(SessionCreating) == []
        assert world.writes == 0


@pytest.mark.requirement("R2.3")
async def test_the_limit_is_a_setting(world: World) -> None:
    async with manager(world, max_sessions=1) as m:
        await m.create_session("one")
        with pytest.raises(SessionLimitError, match="Maximum 1 sessions supported"):
            await m.create_session("two")


async def test_a_place_that_another_process_freed_is_found_free(world: World) -> None:
    world.write(a_session("one"))
    async with manager(world, max_sessions=1, capabilities=()) as m:
        world.write()
        assert await m.create_session("two")


@pytest.mark.requirement("R2.4")
async def test_the_limit_holds_among_concurrent_creations(world: World) -> None:
    outcomes: list[object] = []
    async with manager(world) as m:
        await create_many(m, 20, outcomes)
        assert sum(isinstance(outcome, SessionLimitError) for outcome in outcomes) == 16
        assert len(world.sessions()) == len(world.worktrees) == len(world.living()) == 4
        assert len(world.branches) == 5
        assert world.claims.keys() == {session.id for session in world.sessions()}
        assert world.snapshot.reservations == {}


@pytest.mark.requirement("R2.4")
async def test_the_limit_holds_among_several_managers(world: World) -> None:
    outcomes: list[object] = []
    async with (
        manager(world) as one,
        manager(world) as two,
        manager(world) as three,
        create_task_group() as tasks,
    ):
        for m in (one, two, three):
            tasks.start_soon(create_many, m, 8, outcomes)
    assert len(outcomes) == 24
    assert sum(isinstance(outcome, SessionLimitError) for outcome in outcomes) == 20
    assert len(world.sessions()) == len(world.worktrees) == 4
    assert len({session.name for session in world.sessions()}) == 4
    assert len(world.branches) == 5
    assert world.snapshot.reservations == {}
    assert world.claims == {}


async def test_a_refused_creation_writes_nothing(world: World) -> None:
    async with manager(world, max_sessions=1) as m:

        async def take() -> None:
            world.write(a_session("theirs"))

        world.meanwhile["plan"] = [take]
        with pytest.raises(SessionLimitError):
            await m.create_session("ours")
        assert world.writes == 0


@pytest.mark.requirement("R6.4")
async def test_a_plugin_may_veto_before_anything_is_done(world: World, witness: Witness) -> None:
    class Clock:
        @hookimpl
        async def frith_session_creating(self, event: SessionCreating) -> None:
            raise SessionVetoed(f"{event.name} comes too late")

    async with manager(world, witness, Clock()) as m:
        world.calls.clear()
        with pytest.raises(SessionVetoed) as refused:
            await m.create_session("one")
        assert (refused.value.plugin, refused.value.reason) == ("own-1", "one comes too late")
        assert world.calls == []
        assert witness.kinds[-2:] == ["SessionCreating", "SessionCreationFailed"]


@pytest.mark.parametrize("setting", ["proceed", "refuse"])
async def test_a_veto_hook_that_breaks_stops_a_creation_only_by_setting(
    setting: str, world: World, logged: list[Any]
) -> None:
    class Broken:
        @hookimpl
        async def frith_session_creating(self) -> None:
            raise RuntimeError("broken")

    async with manager(world, Broken(), broken_creating_hook=setting) as m:
        if setting == "proceed":
            assert await m.create_session("one")
        else:
            with pytest.raises(VetoHookFailedError):
                await m.create_session("one")
            assert world.nothing_left()


async def test_plugins_are_told_what_was_asked_for_and_what_became_of_it(
    world: World, witness: Witness
) -> None:
    world.branches.add("fix")
    async with manager(world, witness) as m:
        session = await m.create_session(
            branch="fix", base="v1", existing=True, command=["sh"], metadata={"n": 1}
        )
        (asked,) = witness.seen(SessionCreating)
        assert (asked.name, asked.branch, asked.base, asked.existing) == (None, "fix", "v1", True)
        assert (asked.command, asked.metadata) == (("sh",), {"n": 1})
        (told,) = witness.seen(SessionCreated)
        assert told.session == session
        assert told.duration >= 0


FAULTS = [
    ("claim", [StoreError("x")]),
    ("plan", [WorkspaceError("x")]),
    ("transact", [StoreError("x")]),
    ("write", [StoreError("x")]),
    ("create", [WorkspaceError("x")]),
    ("remember creating", [OSError(28, "x")]),
    ("spawn", [CommandNotFoundError(["agent"], "x")]),
    ("transact", [None, StoreError("x")]),
    ("write", [None, StoreError("x")]),
    ("spawn", [RuntimeError("a bug in a provider")]),
    ("claim", [RuntimeError("a bug in a provider")]),
    ("load", [StoreError("x")]),
    ("taken", [WorkspaceError("x")]),
    ("open terminal", [RuntimeError("a bug in a provider")]),
]


@pytest.mark.requirement("R2.2")
@pytest.mark.parametrize(("step", "faults"), FAULTS)
async def test_a_step_that_fails_undoes_all_before_it(
    step: str, faults: list[Exception | None], world: World, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        world.faults[step] = list(faults)
        with pytest.raises(Exception, match="x|a bug in a provider") as failed:
            await m.create_session()
        assert world.nothing_left()
        assert m.get_all_sessions() == ()
        (event,) = witness.seen(SessionCreationFailed)
        assert (event.error, event.left_behind) == (failed.value, ())
        assert event.session_id is not None
        if not step.startswith("open"):
            assert await m.create_session()


@pytest.mark.parametrize("fault", [WorkspaceError("x"), RuntimeError("x")])
async def test_a_workspace_provider_that_cannot_be_opened_fails_each_creation(
    fault: Exception, world: World, witness: Witness, logged: list[Any]
) -> None:
    world.faults["open workspace"] = [fault] * 9
    async with manager(world, witness) as m:
        with pytest.raises(FrithError, match="x"):
            await m.create_session()
        assert world.nothing_left()
        assert len(witness.seen(SessionCreationFailed)) == 1
    world.faults.clear()
    async with manager(world, witness) as m:
        assert await m.create_session()


async def test_a_marker_that_cannot_be_written_last_does_not_undo_a_durable_session(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        world.faults["remember live"] = [OSError(28, "disk full")]
        session = await m.create_session("one")
        assert world.stored(session.id) == session
    assert logged[0]["event"] == "marker_not_written"


UNKNOWN = CommitOutcomeUnknownError("fsync failed")


@pytest.mark.parametrize("point", ["write", "written"])
async def test_a_session_of_which_nobody_knows_whether_it_is_stored_is_settled_at_the_next_start(
    point: str, world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        world.faults[point] = [None, *[UNKNOWN] * 4]
        with pytest.raises(CommitOutcomeUnknownError):
            await m.create_session("one")
        assert world.living() == []
        assert world.claims == {}
        assert len(world.worktrees) == 1
    async with manager(world) as m:
        if point == "written":
            (session,) = m.get_all_sessions()
            assert (session.status, session.pty_pid) == (SessionStatus.IDLE, None)
            assert session.worktree_path in world.worktrees
            assert world.snapshot.reservations == {}
        else:
            assert world.nothing_left()


async def test_while_the_store_is_away_nothing_of_a_session_that_may_be_stored_is_undone(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:

        async def go_away() -> None:
            world.faults["written"] = [UNKNOWN]
            world.faults["transact"] = [None, *[StoreError("connection refused")] * 10]

        world.meanwhile["spawn"] = [go_away]
        with pytest.raises(CommitOutcomeUnknownError):
            await m.create_session("one")
        (session,) = world.sessions()
        assert world.worktrees == {session.worktree_path: session.branch}
        assert session.branch in world.branches
        assert world.markers[session.id].state is MarkerState.CREATING
        world.faults.clear()


@pytest.mark.requirement("R2.2")
@pytest.mark.parametrize("meanwhile", ["work was done", "the provider broke", "the store broke"])
async def test_what_cannot_be_undone_is_said_and_its_place_stays_reserved(
    meanwhile: str, world: World, witness: Witness, logged: list[Any]
) -> None:
    async with manager(world, witness) as m:

        async def disturb() -> None:
            (path,) = world.worktrees
            if meanwhile == "work was done":
                world.at_stake[path] = AtStake(untracked=("notes",))
            elif meanwhile == "the provider broke":
                world.faults["discard"] = [WorkspaceError("git is gone")]
            else:
                world.faults["transact"] = [StoreError("disk full")]

        world.meanwhile["spawn"] = [disturb]
        world.faults["spawn"] = [CommandNotFoundError(["agent"], "no such file")]
        with pytest.raises(CommandNotFoundError):
            await m.create_session("one")
        (event,) = witness.seen(SessionCreationFailed)
        assert len(event.left_behind) == 1
        assert event.session_id is not None
        assert list(world.snapshot.reservations) == [event.session_id]
        assert world.claims == {}
    world.at_stake.update({path: AtStake(untracked=("notes",)) for path in world.worktrees})
    async with manager(world) as m:
        assert world.snapshot.reservations == {}
        names = [session.name for session in m.get_all_sessions()]
        assert names == ([] if meanwhile == "the store broke" else ["one"])


async def test_an_undo_that_hangs_is_given_up_and_said(
    world: World, witness: Witness, hanging: Any
) -> None:
    async with manager(world, witness) as m:
        world.meanwhile["discard"] = [hanging(create)]
        world.faults["spawn"] = [CommandNotFoundError(["agent"], "no such file")]
        with pytest.raises(CommandNotFoundError):
            await m.create_session("one")
        (event,) = witness.seen(SessionCreationFailed)
        assert event.left_behind == ("worktree: took too long",)


async def test_the_place_of_a_creator_that_died_is_used_again(world: World) -> None:
    dead = a_session("dead")
    async with manager(world, max_sessions=1) as m:
        world.inhabit(dead, MarkerState.CREATING)
        world.reserve(a_reservation(dead))
        session = await m.create_session("one")
        assert list(world.snapshot.sessions) == [session.id]
        assert list(world.worktrees) == [session.worktree_path]
        assert world.snapshot.reservations == {}


async def test_the_branch_of_a_creator_that_died_is_used_again(world: World) -> None:
    dead = a_session("dead")
    async with manager(world) as m:
        world.inhabit(dead, MarkerState.CREATING)
        world.reserve(a_reservation(dead))
        assert (await m.create_session("one", dead.branch)).branch == dead.branch


async def test_the_place_of_a_creator_that_lives_is_not_used(world: World) -> None:
    living = a_session("living")
    world.claims[living.id] = 1
    async with manager(world, max_sessions=1) as m:
        world.reserve(a_reservation(living))
        with pytest.raises(SessionLimitError):
            await m.create_session("one")
        assert list(world.snapshot.reservations) == [living.id]


async def test_the_work_of_a_creator_that_died_is_not_lost_to_make_a_place(world: World) -> None:
    dead = a_session("dead")
    async with manager(world, max_sessions=1) as m:
        world.inhabit(dead, MarkerState.CREATING)
        world.at_stake[dead.worktree_path] = AtStake(untracked=("notes",))
        world.reserve(a_reservation(dead))
        with pytest.raises(SessionLimitError):
            await m.create_session("one")
        assert [session.id for session in m.get_all_sessions()] == [dead.id]
        assert dead.worktree_path in world.worktrees


async def test_a_process_that_ends_at_once_is_a_session_that_was_created(
    world: World, witness: Witness
) -> None:
    async def end() -> None:
        world.terminals[0].end(code=0)

    async with manager(world, witness) as m:
        world.meanwhile["remember live"] = [end]
        session = await m.create_session("one")
        assert (await m.wait_ended(session.id)).status is SessionStatus.STOPPED
        assert world.stored(session.id).details.exit == ExitStatus(code=0)


@pytest.mark.requirement("R6.3")
async def test_a_provider_that_collapses_during_a_creation_fails_it(
    world: World, logged: list[Any]
) -> None:
    async def collapse() -> None:
        world.collapses[Role.TERMINAL].set()
        await sleep_forever()

    async with manager(world) as m:
        world.meanwhile["spawn"] = [collapse]
        with pytest.raises(ProviderFailedError, match="the terminal collapsed"):
            await m.create_session("one")
        assert world.nothing_left()
        assert await m.create_session("two", start=False)


def test_a_workspace_may_be_any_absolute_path() -> None:
    world = World()
    assert manager(world, workspace=Path("/else where")).config.workspace == Path("/else where")
