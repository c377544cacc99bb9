"""The start of a manager: every record is reconciled, unless its session has a living owner."""

from __future__ import annotations

from typing import Any

import pytest

from frith import AtStake, Session, SessionStatus
from frith.errors import (
    CommitOutcomeUnknownError,
    CorruptStoreError,
    StoreError,
    StoreVersionError,
    TerminalError,
    WorkspaceError,
)
from frith.events import SessionsRestored
from frith.model import ExitStatus, Integrity
from frith.ports import Marker, MarkerState, Presence, SweepReport
from waiting import until

from .fakes import FakeSpawner
from .managers import Witness, manager
from .world import World, a_reservation, a_session, as_running


@pytest.fixture
def one(world: World) -> Session:
    """A session that its owner records as running."""
    session = world.inhabit(as_running(a_session("one", metadata={"n": None}, current_phase="p")))
    world.write(session)
    return session


def restored(witness: Witness) -> SessionsRestored:
    (event,) = witness.seen(SessionsRestored)
    return event


@pytest.mark.requirement("R4.1")
async def test_a_session_whose_owner_is_gone_becomes_idle_and_keeps_all_else(
    world: World, one: Session, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        (session,) = m.get_all_sessions()
        assert (session.status, session.pty_pid) == (SessionStatus.IDLE, None)
        assert session.to_record() == {
            k: v for k, v in one.evolve(status=SessionStatus.IDLE).to_record().items()
            if k != "ptyPid"
        }  # fmt: skip
        assert session.details.command == one.details.command
        assert session == world.stored(one.id)
        assert world.claims == {}
        assert restored(witness).sessions == (session,)


@pytest.mark.requirement("R4.3")
async def test_what_a_dead_owner_left_running_is_ended_and_told(
    world: World, one: Session, witness: Witness
) -> None:
    world.leftovers[one.id] = (4711, 4712)
    async with manager(world, witness):
        assert world.leftovers == {}
        assert restored(witness).swept == (4711, 4712)


@pytest.mark.requirement("R4.3")
async def test_what_cannot_be_told_about_left_processes_is_noted(
    world: World, one: Session, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sweep(*_: Any) -> SweepReport:
        return SweepReport(unknown=("cannot read /proc/4711",))

    monkeypatch.setattr(FakeSpawner, "sweep", sweep)
    async with manager(world, witness):
        assert restored(witness).notes == ("cannot read /proc/4711",)


@pytest.mark.requirement("R4.3")
async def test_the_process_of_another_terminal_provider_is_not_touched(
    world: World, one: Session, witness: Witness
) -> None:
    world.write(one.detail(terminal="elsewhere"))
    world.leftovers[one.id] = (4711,)
    async with manager(world, witness) as m:
        assert m.get_all_sessions()[0].pty_pid is None
        assert world.leftovers == {one.id: (4711,)}
        assert restored(witness).notes == ("terminal provider 'elsewhere' is not installed",)


@pytest.mark.requirement("R4.2")
async def test_a_session_that_a_living_owner_has_is_not_touched(
    world: World, one: Session, witness: Witness
) -> None:
    world.claims[one.id] = 1
    world.leftovers[one.id] = (4711,)
    async with manager(world, witness) as m:
        assert m.get_all_sessions() == (one,)
        assert world.leftovers == {one.id: (4711,)}
        assert world.writes == 0
        assert restored(witness).notes == ()


@pytest.mark.requirement("R5.2")
@pytest.mark.parametrize("holders", ["unknown_holders", "expired_holders"])
async def test_a_session_whose_owner_may_be_alive_is_not_touched_and_noted(
    holders: str, world: World, one: Session, witness: Witness
) -> None:
    getattr(world, holders).add(one.id)
    async with manager(world, witness) as m:
        assert m.get_all_sessions() == (one,)
        note = f"it is unknown whether session one ({one.id}) is owned"
        assert restored(witness).notes == (note,)


@pytest.mark.requirement("R5.2")
@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("holder", StoreError("cannot look")),
        ("claim", StoreError("cannot look")),
        ("sweep", TerminalError("cannot look")),
        ("sweep", RuntimeError("cannot look")),
        ("transact", StoreError("cannot look")),
    ],
)
async def test_a_session_that_cannot_be_brought_in_line_is_noted_and_the_others_are(
    step: str, error: Exception, world: World, one: Session, witness: Witness, logged: list[Any]
) -> None:
    two = world.inhabit(as_running(a_session("two")))
    world.write(one, two)
    world.faults[step] = [error]
    async with manager(world, witness) as m:
        left = [s for s in m.get_all_sessions() if s.status is SessionStatus.ACTIVE]
        assert len(left) == len(restored(witness).notes)
        assert len(left) == 1 or step == "transact"  # there both changes may go as one
        assert "cannot look" in restored(witness).notes[0]
        assert world.claims == {}
    assert logged[0]["event"] == "session_not_reconciled"


async def test_a_session_that_another_starter_claims_first_is_left_to_it(
    world: World, one: Session, witness: Witness
) -> None:
    async def claim() -> None:
        world.claims[one.id] = 1

    world.meanwhile["claim"] = [claim]
    async with manager(world, witness) as m:
        assert m.get_all_sessions() == (one,)
        assert restored(witness).notes == ()


async def test_a_session_that_was_brought_in_line_meanwhile_is_not_changed_again(
    world: World, one: Session
) -> None:
    ended = one.evolve(status=SessionStatus.STOPPED, pty_pid=None).detail(
        terminal_ref=None, exit=ExitStatus(code=0)
    )

    async def end() -> None:
        world.write(ended)

    world.meanwhile["sweep"] = [end]
    async with manager(world) as m:
        assert m.get_all_sessions() == (ended,)


@pytest.mark.requirement("R4.1")
async def test_a_record_of_another_program_without_details_becomes_idle_too(
    world: World, witness: Witness
) -> None:
    session = a_session("theirs", status=SessionStatus.WAITING, pty_pid=4711)
    world.worktrees[session.worktree_path] = session.branch
    world.write(Session.model_validate(session.to_record()), integrity=Integrity.FOREIGN)
    async with manager(world, witness) as m:
        (known,) = m.get_all_sessions()
        assert (known.status, known.pty_pid) == (SessionStatus.IDLE, None)
        assert "sweep" not in world.calls
        assert restored(witness).notes == ()


@pytest.mark.requirement("R4.4")
async def test_a_missing_worktree_is_reported_and_its_session_kept(
    world: World, witness: Witness
) -> None:
    gone, moved, there = (a_session(name) for name in ("gone", "moved", "there"))
    for session in (moved, there):
        world.inhabit(session)
    world.write(gone, moved, there)
    world.presence[moved.id] = Presence.MOVED
    async with manager(world, witness) as m:
        assert len(m.get_all_sessions()) == 3
        event = restored(witness)
        assert (event.missing, event.moved) == ((gone.id,), (moved.id,))
        assert event.duration >= 0


async def test_at_start_a_worktree_that_leads_elsewhere_is_noted(
    world: World, witness: Witness
) -> None:
    session = world.inhabit(a_session())
    world.write(session)
    world.presence[session.id] = Presence.REDIRECTED
    async with manager(world, witness):
        assert restored(witness).notes == (
            f"session {session.name} ({session.id}): redirected by the configuration",
        )


async def test_where_worktrees_cannot_be_looked_for_that_is_noted(
    world: World, witness: Witness
) -> None:
    world.write(a_session())
    world.faults["locate"] = [WorkspaceError("no git here")]
    async with manager(world, witness) as m:
        assert len(m.get_all_sessions()) == 1
        assert restored(witness).notes == ("no git here",)
        assert restored(witness).missing == ()


@pytest.mark.requirement("R2.2")
@pytest.mark.parametrize("marked", [True, False])
async def test_a_creation_that_a_crash_cut_off_is_undone(
    marked: bool, world: World, witness: Witness
) -> None:
    dead = a_session("dead")
    world.leftovers[dead.id] = (4711,)
    world.write()
    world.inhabit(dead, MarkerState.CREATING)
    if not marked:
        world.markers.clear()
    world.reserve(a_reservation(dead))
    async with manager(world, witness):
        assert world.nothing_left()
        assert world.leftovers == {}
        assert restored(witness).notes == (f"undid the creation of dead ({dead.id})",)


@pytest.mark.requirement("R2.2")
@pytest.mark.parametrize("marked", [True, False])
async def test_a_creation_that_a_crash_cut_off_is_finished_where_somebody_worked(
    marked: bool, world: World, witness: Witness
) -> None:
    dead = a_session("dead", metadata={"n": 1})
    world.write()
    world.inhabit(dead, MarkerState.CREATING)
    if not marked:
        world.markers.clear()
    world.reserve(a_reservation(dead))
    world.at_stake[dead.worktree_path] = AtStake(untracked=("notes",))
    async with manager(world, witness) as m:
        (session,) = m.get_all_sessions()
        assert (session.id, session.status) == (dead.id, SessionStatus.IDLE)
        assert session.metadata == ({"n": 1} if marked else None)
        assert world.markers[dead.id].state is MarkerState.LIVE
        assert world.snapshot.reservations == {}
        assert "finished the creation of dead" in restored(witness).notes[0]


async def test_a_creation_that_goes_on_elsewhere_is_not_touched(world: World) -> None:
    living = a_session("living")
    world.write()
    world.inhabit(living, MarkerState.CREATING)
    world.reserve(a_reservation(living))
    world.claims[living.id] = 1
    async with manager(world):
        assert list(world.snapshot.reservations) == [living.id]
        assert living.worktree_path in world.worktrees


async def test_a_place_in_a_shared_worktree_is_given_up_without_touching_it(world: World) -> None:
    one = world.inhabit(a_session("one"))
    dead = a_session("dead", worktree_path=one.worktree_path, branch=one.branch)
    world.write(one)
    world.reserve(a_reservation(dead, creates_branch=False))
    async with manager(world):
        assert "discard" not in world.calls
        assert world.snapshot.reservations == {}
        assert one.worktree_path in world.worktrees


async def test_a_creation_whose_record_was_stored_after_all_stays(world: World) -> None:
    one = world.inhabit(a_session("one"))
    world.write(one)
    world.reserve(a_reservation(one))
    async with manager(world) as m:
        assert m.get_all_sessions() == (one,)
        assert world.snapshot.reservations == {}


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("discard", WorkspaceError("no git here")),
        ("holder", StoreError("cannot look")),
        ("sweep", RuntimeError("a bug")),
    ],
)
async def test_a_creation_that_cannot_be_settled_keeps_its_place(
    step: str, error: Exception, world: World, logged: list[Any]
) -> None:
    dead = a_session("dead")
    world.write()
    world.inhabit(dead, MarkerState.CREATING)
    world.reserve(a_reservation(dead))
    world.faults[step] = [error]
    async with manager(world):
        assert list(world.snapshot.reservations) == [dead.id]
        assert world.claims == {}
    assert logged[0]["event"] == "creation_not_settled"


@pytest.mark.requirement("R2.2")
async def test_a_creation_that_ended_well_while_the_start_looked_is_not_undone(
    world: World,
) -> None:
    one = world.inhabit(a_session("one"))
    world.write()
    world.reserve(a_reservation(one))

    async def publish() -> None:
        world.write(one)
        world.reserve()

    world.meanwhile["holder"] = [publish]
    async with manager(world) as m:
        assert m.get_all_sessions() == (one,)
        assert "discard" not in world.calls
        assert one.worktree_path in world.worktrees


async def test_of_two_that_settle_a_creation_one_does(world: World) -> None:
    dead = a_session("dead")
    world.write()
    world.inhabit(dead, MarkerState.CREATING)
    world.reserve(a_reservation(dead))

    async def settle_first() -> None:
        world.reserve()

    world.meanwhile["discard"] = [settle_first]
    async with manager(world):
        assert world.writes == 0


async def test_a_removal_that_goes_on_elsewhere_is_not_touched(world: World) -> None:
    one = world.inhabit(a_session("one").detail(removing=True))
    world.write(one)
    world.claims[one.id] = 1
    async with manager(world) as m:
        assert m.get_all_sessions() == (one,)


@pytest.mark.requirement("R5.5")
@pytest.mark.parametrize(
    ("undone", "held", "repairs"), [(0, 0, 1), (3, 0, 2), (3, 2, 2), (0, 2, 1)]
)
async def test_removals_that_a_crash_cut_off_cost_one_repair_before_and_one_if_any_is_undone(
    undone: int, held: int, repairs: int, world: World
) -> None:
    gone = [a_session(f"gone{n}").detail(removing=True) for n in range(3)]
    there = [world.inhabit(a_session(f"there{n}").detail(removing=True)) for n in range(undone)]
    elsewhere = [world.inhabit(a_session(f"held{n}").detail(removing=True)) for n in range(held)]
    world.claims.update({session.id: 1 for session in elsewhere})
    world.write(*gone, *there, *elsewhere)
    async with manager(world) as m:
        assert m.get_all_sessions() == (*(s.detail(removing=None) for s in there), *elsewhere)
        assert world.calls.count("repair") == repairs
        # The first one waits for what the dead processes left behind, so they must be known dead.
        before = world.calls[: world.calls.index("repair")]
        assert before.count("claim") == 3 + undone
        assert "locate" not in before
        if undone:
            after = world.calls[len(world.calls) - world.calls[::-1].index("repair") :]
            assert "remove" not in after
            assert "remember live" not in after
        assert [*world.claims] == [session.id for session in elsewhere]


async def test_where_all_removals_go_on_elsewhere_nothing_is_repaired(world: World) -> None:
    sessions = [world.inhabit(a_session(f"s{n}").detail(removing=True)) for n in range(3)]
    world.write(*sessions)
    world.claims.update({session.id: 1 for session in sessions})
    async with manager(world) as m:
        assert m.get_all_sessions() == tuple(sessions)
        assert "repair" not in world.calls


async def test_a_removal_that_cannot_be_settled_is_noted_and_the_others_are_settled(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    one, two = (a_session(name).detail(removing=True) for name in ("one", "two"))
    world.write(one, two)
    world.faults["remove"] = [WorkspaceError("no git here")]
    async with manager(world, witness) as m:
        assert m.get_all_sessions() == (one,)
        assert restored(witness).notes == (
            f"session {one.name} ({one.id}): no git here",
            f"finished the removal of two ({two.id})",
        )
        assert world.claims == {}
    assert logged[0]["event"] == "removal_not_settled"


async def test_a_removal_that_ends_elsewhere_while_the_start_looks_is_not_an_error(
    world: World,
) -> None:
    one = world.inhabit(a_session("one").detail(removing=True))
    world.write(one)

    async def end() -> None:
        world.write()

    world.meanwhile["holder"] = [end]
    async with manager(world) as m:
        assert m.get_all_sessions() == ()


@pytest.mark.requirement("R5.2")
async def test_a_removal_is_undone_if_work_is_at_stake_in_what_is_left_of_it(
    world: World,
) -> None:
    one = a_session("one").detail(removing=True)
    world.write(one)
    world.at_stake[one.worktree_path] = AtStake(staged=("new.py",))
    async with manager(world) as m:
        (kept,) = m.get_all_sessions()
        assert not kept.details.removing


@pytest.mark.requirement("R5.2")
async def test_a_removal_whose_worktree_may_exist_is_undone_and_not_finished(
    world: World,
) -> None:
    one = world.inhabit(a_session("one").detail(removing=True))
    other = a_session("other")
    world.write(one, other)

    async def hide() -> None:
        world.presence[one.id] = Presence.UNKNOWN

    world.meanwhile["locate"] = [hide]
    async with manager(world) as m:
        known = m.get_session(one.id)
        assert known is not None
        assert not known.details.removing


async def test_a_removal_stays_what_it_is_where_worktrees_cannot_be_looked_for(
    world: World,
) -> None:
    one = world.inhabit(a_session("one").detail(removing=True))
    world.write(one)
    world.faults["locate"] = [WorkspaceError("no git here")]
    async with manager(world):
        assert world.stored(one.id).details.removing


@pytest.mark.requirement("R5.2")
@pytest.mark.parametrize(
    "error",
    [StoreError("EIO"), StoreVersionError("/f", "9", "1"), CommitOutcomeUnknownError("EIO")],
)
async def test_a_store_that_cannot_be_read_is_an_error_and_never_taken_for_empty(
    error: StoreError, world: World, one: Session
) -> None:
    world.faults["load"] = [error]
    with pytest.raises(StoreError) as refused:
        async with manager(world):
            pass
    assert refused.value is error
    assert world.stored(one.id) == one
    assert world.writes == 0


async def test_without_restoring_sessions_are_only_looked_at(
    world: World, one: Session, witness: Witness
) -> None:
    world.reserve(a_reservation(a_session("dead")))
    async with manager(world, witness, restore=False) as m:
        assert m.get_all_sessions() == (one,)
        assert world.calls == ["load"]
        assert world.watchers == []
        assert witness.kinds == []
        world.leftovers[one.id] = (4711,)
        (session,) = await m.load_sessions()
        assert session.status is SessionStatus.IDLE
        assert world.leftovers == {}


@pytest.mark.parametrize("state", ["missing", "foreign", "corrupt"])
async def test_without_restoring_a_store_that_needs_it_is_restored_all_the_same(
    state: str, world: World, witness: Witness
) -> None:
    one = world.inhabit(a_session("one"))
    if state == "foreign":
        world.write(one, integrity=Integrity.FOREIGN)
    elif state == "corrupt":
        world.corrupt = CorruptStoreError("/state.json", "cut off", "token")
    async with manager(world, witness, restore=False) as m:
        assert [session.id for session in m.get_all_sessions()] == [one.id]
        assert witness.seen(SessionsRestored)


async def test_markers_that_a_dead_host_left_behind_its_records_are_brought_up_to_date(
    world: World, hasty: None
) -> None:
    one = world.inhabit(a_session("one"))
    newer = one.evolve(metadata={"n": 1})
    world.write(newer)
    async with manager(world):
        await until(lambda: world.markers[one.id].session == newer)


async def test_a_recovery_that_fails_does_not_keep_a_good_store_from_opening(
    world: World, logged: list[Any]
) -> None:
    one = world.inhabit(a_session("one"))
    world.write(one)
    world.faults["rebuild"] = [WorkspaceError("no git here")]
    async with manager(world) as m:
        assert m.get_all_sessions() == (one,)


async def test_worktrees_with_incomplete_markers_are_protected(
    world: World,
) -> None:
    one = world.inhabit(a_session("one"))
    world.write(one)
    world.markers[one.id] = Marker(one, MarkerState.LIVE, complete=False)
    async with manager(world):
        assert "repair" in world.calls
        assert world.markers[one.id].complete
