"""Rebuilding a lost, damaged or foreign store from its records and the markers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from frith import Capability, Session, SessionStatus
from frith._flows.rebuild import merge
from frith.errors import CorruptStoreError, StoreError, WorkspaceError
from frith.events import SessionsRecovered, SessionsRestored, StoreCorrupted
from frith.model import Details, Integrity
from frith.ports import Marker, MarkerState
from waiting import until

from .managers import Witness, manager
from .world import World, a_reservation, a_session

LIVE, CREATING = MarkerState.LIVE, MarkerState.CREATING
REMOVING, RELEASED = MarkerState.REMOVING, MarkerState.RELEASED


def corrupt(*salvage: Session) -> CorruptStoreError:
    return CorruptStoreError("/state.json", "cut off", "token", salvage)


@pytest.mark.requirement("R5.3")
@pytest.mark.parametrize(
    ("record", "state", "resurrect", "abandoned", "comes"),
    [
        (False, LIVE, True, False, True),
        (False, LIVE, False, False, False),
        (False, REMOVING, True, False, True),
        (False, CREATING, True, False, False),
        (False, CREATING, True, True, True),
        (False, RELEASED, True, False, False),
        (True, LIVE, True, False, True),
        (True, LIVE, False, False, True),
        (True, REMOVING, False, False, True),
        (True, CREATING, True, False, True),
        (True, RELEASED, True, False, False),
        (True, RELEASED, False, False, False),
        (True, None, True, False, True),
        (True, None, False, False, True),
    ],
)
def test_a_record_and_a_marker_are_merged(
    record: bool, state: MarkerState | None, resurrect: bool, abandoned: bool, comes: bool
) -> None:
    session = a_session()
    merged = merge(
        [session] if record else [],
        [Marker(session, state)] if state else [],
        resurrect=resurrect,
        abandoned=[session.id] if abandoned else [],
    )
    assert dict(merged.sessions) == ({session.id: session} if comes else {})
    assert (session.id in merged.corrected) is (comes and not record)


@pytest.mark.requirement("R3.3")
def test_identity_is_believed_from_the_marker_and_all_else_from_the_record() -> None:
    record = a_session("edited", status=SessionStatus.ERROR, metadata={"n": 2}, current_phase="x")
    remembered = a_session("true", id=record.id, metadata={"n": 1})
    merged = merge([record], [Marker(remembered, LIVE)])
    session = merged.sessions[record.id]
    assert session.name == "true"
    assert (session.branch, session.worktree_path) == (
        remembered.branch,
        remembered.worktree_path,
    )
    assert session.created_at == remembered.created_at
    assert (session.status, session.metadata, session.current_phase) == (
        SessionStatus.ERROR,
        {"n": 2},
        "x",
    )
    assert merged.corrected == {record.id}


def test_an_incomplete_marker_corrects_nothing() -> None:
    record = a_session("recorded")
    guessed = a_session("guessed", id=record.id)
    merged = merge([record], [Marker(guessed, LIVE, complete=False)])
    assert dict(merged.sessions) == {record.id: record}
    assert merged.corrected == frozenset()
    assert merged.incomplete == {record.id}


@pytest.mark.requirement("R5.4")
def test_an_incomplete_marker_without_a_record_makes_a_session() -> None:
    guessed = a_session("guessed")
    merged = merge([], [Marker(guessed, LIVE, complete=False)])
    assert dict(merged.sessions) == {guessed.id: guessed}
    assert merged.incomplete == {guessed.id}


@pytest.mark.requirement("R3.3")
def test_a_worktree_of_a_session_that_is_being_created_is_no_session_yet() -> None:
    session = a_session("one")
    half = Marker(session, LIVE, complete=False)
    assert not merge([], [half], reserved=[session.id]).sessions
    assert merge([], [half], reserved=["another"]).sessions == {session.id: session}
    assert merge([session], [half], reserved=[session.id]).sessions == {session.id: session}
    assert merge([], [Marker(session, LIVE)], reserved=[session.id]).sessions


def test_a_record_whose_id_was_damaged_is_known_by_its_worktree() -> None:
    true = a_session("true")
    garbled = a_session("true", metadata={"n": 1}, worktree_path=true.worktree_path)
    merged = merge([garbled], [Marker(true, LIVE)])
    assert list(merged.sessions) == [true.id]
    assert merged.sessions[true.id].metadata == {"n": 1}


@pytest.mark.requirement("R2.5")
def test_two_sessions_in_one_worktree_stay_two() -> None:
    one = a_session("one")
    two = a_session("two", worktree_path=one.worktree_path)
    merged = merge([one, two], [Marker(one, LIVE), Marker(two, LIVE)])
    assert dict(merged.sessions) == {one.id: one, two.id: two}
    assert merged.corrected == frozenset()


@pytest.mark.requirement("R5.3")
def test_a_record_without_details_gets_those_that_are_remembered() -> None:
    remembered = a_session("one")
    merged = merge([remembered.evolve(details=Details())], [Marker(remembered, LIVE)])
    assert merged.sessions[remembered.id].details == remembered.details


@pytest.mark.requirement("R5.1")
@pytest.mark.requirement("R5.3")
@pytest.mark.requirement("R6.4")
async def test_a_missing_store_is_rebuilt_from_the_markers(world: World, witness: Witness) -> None:
    sessions = [world.inhabit(a_session(f"s{n}", metadata={"n": n})) for n in range(3)]
    async with manager(world, witness) as m:
        assert m.get_all_sessions() == tuple(sessions)
        assert world.sessions() == sessions
        (event,) = witness.seen(SessionsRecovered)
        assert (event.sessions, event.incomplete) == (tuple(sessions), ())
        assert event.reason == "The stored state was missing."
        assert witness.kinds[-1] == "SessionsRestored"


async def test_a_new_workspace_is_not_called_recovered(world: World, witness: Witness) -> None:
    async with manager(world, witness):
        assert witness.kinds == ["SessionsRestored"]
        assert world.writes == 0


@pytest.mark.requirement("R5.1")
async def test_a_store_that_holds_an_earlier_state_is_rebuilt_from_that_and_the_markers(
    world: World, witness: Witness
) -> None:
    marked, unmarked = world.inhabit(a_session("marked")), a_session("unmarked")
    older = marked.evolve(metadata={"from": "earlier"}, colour="green")
    world.corrupt = CorruptStoreError("/f", "an earlier copy", "token", earlier=(older, unmarked))
    async with manager(world, witness):
        assert world.stored(unmarked.id) == unmarked
        assert world.stored(marked.id) == marked.evolve(colour="green")
    (event,) = witness.seen(SessionsRecovered)
    assert "is corrupt (an earlier copy)" in event.reason
    assert len(witness.seen(StoreCorrupted)) == 1


@pytest.mark.requirement("R5.3")
@pytest.mark.parametrize(("hours", "wins"), [(-1, "marker"), (0, "marker"), (1, "earlier")])
async def test_of_an_earlier_state_and_the_marker_the_one_that_was_active_last_is_believed(
    world: World, hours: int, wins: str
) -> None:
    marked = world.inhabit(a_session(metadata={"from": "marker"}))
    earlier = marked.evolve(
        name="older",
        metadata={"from": "earlier"},
        last_activity=marked.last_activity + timedelta(hours=hours),
    )
    world.corrupt = CorruptStoreError("/state.json", "cut off", "token", earlier=(earlier,))
    async with manager(world):
        stored = world.stored(marked.id)
    assert (stored.name, stored.metadata) == (marked.name, {"from": wins})


@pytest.mark.requirement("R5.1")
@pytest.mark.requirement("R6.4")
async def test_a_corrupt_store_is_announced_and_rebuilt(world: World, witness: Witness) -> None:
    one = world.inhabit(a_session("one"))
    world.corrupt = corrupt()
    async with manager(world, witness) as m:
        assert m.get_all_sessions() == (one,)
        assert world.corrupt is None
        (told,) = witness.seen(StoreCorrupted)
        assert (told.where, told.reason) == ("/state.json", "cut off")
        (event,) = witness.seen(SessionsRecovered)
        assert "is corrupt (cut off)" in event.reason
        assert witness.kinds == ["StoreCorrupted", "SessionsRecovered", "SessionsRestored"]


@pytest.mark.requirement("R5.3")
async def test_records_that_could_still_be_read_are_used(world: World) -> None:
    both, only_read, destroyed = (a_session(name) for name in ("both", "read", "destroyed"))
    world.inhabit(both)
    world.inhabit(destroyed, RELEASED)
    world.corrupt = corrupt(both.evolve(metadata={"n": 1}), only_read, destroyed)
    async with manager(world) as m:
        assert {s.name: s.metadata for s in m.get_all_sessions()} == {
            "both": {"n": 1},
            "read": None,
        }


@pytest.mark.requirement("R5.4")
async def test_sessions_with_incomplete_markers_are_reported(
    world: World, witness: Witness
) -> None:
    one = world.inhabit(a_session("one"))
    world.markers[one.id] = Marker(one, LIVE, complete=False)
    async with manager(world, witness):
        assert witness.seen(SessionsRecovered)[0].incomplete == (one.id,)


@pytest.mark.requirement("R5.5")
async def test_what_was_destroyed_does_not_come_back(world: World, witness: Witness) -> None:
    world.inhabit(a_session("destroyed"), RELEASED)
    async with manager(world, witness) as m:
        assert m.get_all_sessions() == ()
        assert witness.seen(SessionsRecovered) == []


async def test_a_creation_that_goes_on_keeps_its_place_in_a_rebuilt_store(world: World) -> None:
    living = world.inhabit(a_session("living"), CREATING)
    world.claims[living.id] = 1
    async with manager(world) as m:
        assert m.get_all_sessions() == ()
        (place,) = world.snapshot.reservations.values()
        assert (place.id, place.branch, place.creates_branch) == (living.id, living.branch, False)


async def test_a_creation_whose_creator_died_is_a_session_in_a_rebuilt_store(
    world: World,
) -> None:
    dead = world.inhabit(a_session("dead"), CREATING)
    async with manager(world) as m:
        assert [session.id for session in m.get_all_sessions()] == [dead.id]
        assert world.snapshot.reservations == {}


async def test_of_two_that_repair_a_corrupt_store_one_does(world: World, witness: Witness) -> None:
    one = world.inhabit(a_session("one"))
    world.corrupt = corrupt()
    theirs = a_session("theirs")

    async def repair_first() -> None:
        world.corrupt = None
        world.write(one, theirs)

    world.meanwhile["replace_corrupt"] = [repair_first]
    async with manager(world, witness) as m:
        assert m.get_all_sessions() == (one, theirs)


@pytest.mark.requirement("R5.1")
async def test_a_corrupt_store_that_is_deleted_before_it_is_replaced_is_rebuilt_all_the_same(
    world: World,
) -> None:
    marked, only_read = world.inhabit(a_session("marked")), a_session("read")
    world.corrupt = corrupt(only_read)

    async def delete() -> None:
        world.corrupt = None

    world.meanwhile["replace_corrupt"] = [delete]
    async with manager(world) as m:
        assert {session.name for session in m.get_all_sessions()} == {"marked", "read"}
        assert {session.id for session in world.sessions()} == {marked.id, only_read.id}


async def test_of_two_that_rebuild_a_missing_store_one_does(world: World) -> None:
    one, theirs = world.inhabit(a_session("one")), a_session("theirs")

    async def rebuild_first() -> None:
        world.write(one, theirs)

    world.meanwhile["transact"] = [rebuild_first]
    async with manager(world) as m:
        assert m.get_all_sessions() == (one, theirs)


@pytest.mark.requirement("R5.1")
@pytest.mark.parametrize("how", ["vanished", "corrupt"])
@pytest.mark.parametrize("act", ["change", "look"])
async def test_a_store_that_is_lost_while_the_host_runs_is_repaired_from_all_that_is_known(
    how: str, act: str, world: World, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        one = await m.create_session("one")
        two = await m.create_session("two", start=False)
        await m.update_session(two.id, metadata={"n": 1})
        if how == "vanished":
            world.vanish()
        else:
            world.corrupt = corrupt()
        if act == "change":
            await m.update_session_status(one.id, SessionStatus.WAITING)
        else:
            await m.load_sessions()
        assert [session.name for session in world.sessions()] == ["one", "two"]
        assert world.stored(two.id).metadata == {"n": 1}
        assert world.stored(one.id).pty_pid == one.pty_pid
        assert len(witness.seen(SessionsRecovered)) == 1
        assert len(world.living()) == 1


@pytest.mark.requirement("R5.2")
@pytest.mark.parametrize(
    "error", [WorkspaceError("no git here"), StoreError("EIO")], ids=lambda e: type(e).__name__
)
async def test_a_repair_that_fails_is_an_error_and_drops_nothing(
    error: Exception, world: World
) -> None:
    world.corrupt = found = corrupt()
    world.faults["rebuild"] = [error]
    with pytest.raises(type(error)):
        async with manager(world):
            pass
    assert world.corrupt is found


async def test_a_corrupt_store_that_cannot_be_repaired_is_an_error_that_says_what_to_do(
    world: World, witness: Witness
) -> None:
    world.corrupt = found = corrupt()
    with pytest.raises(CorruptStoreError, match="restore it from a backup") as caught:
        async with manager(world, witness, capabilities=[Capability.WATCH]):
            pass
    assert caught.value.__cause__ is found
    assert "replace_corrupt" not in world.calls
    assert witness.events == []


@pytest.mark.requirement("R3.3")
async def test_an_edited_store_is_announced_checked_and_corrected(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    one, gone = world.inhabit(a_session("one")), world.inhabit(a_session("gone"))
    edited = one.evolve(name="edited", branch="main", metadata={"n": 1})
    world.write(edited, integrity=Integrity.MISMATCH)
    async with manager(world, witness) as m:
        assert {s.name: s.metadata for s in m.get_all_sessions()} == {
            "one": {"n": 1},
            "gone": None,
        }
        assert world.stored(one.id).branch == one.branch
        assert world.stored(gone.id) == gone
        await m.save_sessions()
        await m.load_sessions()
        (told,) = witness.seen(StoreCorrupted)
        assert "the checksum does not match" in told.reason
    assert [e["event"] for e in logged].count("state_not_verified") == 1


@pytest.mark.requirement("R3.2")
async def test_a_store_of_another_program_is_accepted_as_it_is(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    one, gone = world.inhabit(a_session("one")), world.inhabit(a_session("gone"))
    theirs = Session.model_validate({**one.to_record(), "status": "waiting", "ptyPid": 4711})
    world.write(theirs, integrity=Integrity.FOREIGN)
    async with manager(world, witness) as m:
        (session,) = m.get_all_sessions()
        assert (session.id, session.details.command) == (one.id, one.details.command)
        assert gone.id not in world.snapshot.sessions
        assert witness.seen(StoreCorrupted) == []
        assert len(witness.seen(SessionsRestored)) == 1
    assert logged[0]["event"] == "state_not_verified"


@pytest.mark.requirement("R3.2")
@pytest.mark.parametrize("integrity", [Integrity.FOREIGN, Integrity.MISMATCH])
async def test_an_empty_store_of_another_program_is_checked_once_and_not_forever(
    integrity: Integrity, world: World, logged: list[Any]
) -> None:
    world.write(integrity=integrity)
    async with manager(world) as m:
        for _ in range(3):
            await m.load_sessions()
        assert world.calls.count("rebuild") == 1
    assert [e["event"] for e in logged] == ["state_not_verified"]


@pytest.mark.requirement("R3.3")
async def test_a_store_that_is_edited_while_the_host_runs_is_checked_and_corrected(
    world: World, witness: Witness, logged: list[Any]
) -> None:
    one = world.inhabit(a_session("one"))
    world.write(one)
    async with manager(world, witness):
        await until(lambda: world.watchers)
        world.write(one.evolve(name="edited"), integrity=Integrity.MISMATCH)
        await until(lambda: world.stored(one.id).name == "one")
        assert len(witness.seen(StoreCorrupted)) == 1


async def test_a_check_that_fails_is_logged_and_the_host_lives(
    world: World, logged: list[Any]
) -> None:
    one = world.inhabit(a_session("one"))
    world.write(one)
    async with manager(world) as m:
        await until(lambda: world.watchers)
        world.faults["rebuild"] = [WorkspaceError("no git here")]
        world.write(one.evolve(name="edited"), integrity=Integrity.FOREIGN)
        await until(lambda: [e for e in logged if e["event"] == "state_not_checked"])
        assert await m.update_last_activity(one.id)


@pytest.mark.requirement("R5.3")
async def test_rebuilding_adds_and_corrects_sessions_and_returns_them(world: World) -> None:
    missing, edited, fine = (world.inhabit(a_session(n)) for n in ("missing", "edited", "fine"))
    world.inhabit(a_session("destroyed"), RELEASED)
    world.write(edited.evolve(name="wrong"), fine)
    async with manager(world) as m:
        world.markers[edited.id] = Marker(edited, LIVE)
        would = await m.rebuild_from_worktrees(dry_run=True)
        assert {s.name for s in would} == {"missing", "edited"}
        assert world.writes == 0
        done = await m.rebuild_from_worktrees()
        assert {s.id for s in done} == {missing.id, edited.id}
        assert {s.name for s in world.sessions()} == {"missing", "edited", "fine"}
        assert "repair" in world.calls
        assert await m.rebuild_from_worktrees() == ()


async def test_rebuilding_takes_over_what_a_dead_creator_left(world: World) -> None:
    world.write()
    async with manager(world) as m:
        dead = world.inhabit(a_session("dead"), CREATING)
        reserved = world.inhabit(a_session("reserved"), CREATING)
        world.reserve(a_reservation(reserved))
        (session,) = await m.rebuild_from_worktrees()
        assert session.id == dead.id
        assert world.markers[dead.id].state is LIVE
        assert list(world.snapshot.reservations) == [reserved.id]


async def test_worktrees_that_cannot_be_protected_are_logged(
    world: World, logged: list[Any]
) -> None:
    world.write()
    async with manager(world) as m:
        world.inhabit(a_session("one"))
        world.faults["repair"] = [WorkspaceError("no git here")]
        assert len(await m.rebuild_from_worktrees()) == 1
    assert [e["event"] for e in logged] == ["worktrees_not_protected"]


async def test_of_two_versions_of_a_session_the_newer_one_is_used(world: World) -> None:
    async with manager(world) as m:
        one = await m.create_session("one", start=False)
        older = one.evolve(last_activity=one.last_activity - timedelta(hours=1), metadata={"n": 0})
        newer = one.evolve(last_activity=one.last_activity + timedelta(hours=1), metadata={"n": 2})
        for salvage, expected in ((older, None), (newer, {"n": 2})):
            world.corrupt = corrupt(salvage)
            await m.load_sessions()
            assert world.stored(one.id).metadata == expected
