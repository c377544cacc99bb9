"""Processes that outlive their host: the next host takes them over, or one that is open."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial

import pytest
from anyio import lowlevel, sleep_forever

from frith import Capability, SessionManager, SessionStatus
from frith.errors import SessionNotRunningError, TerminalError
from frith.events import ProcessExited, SessionsRestored, SessionStatusChanged, SessionWaiting
from frith.model import ExitStatus, Session, Source
from frith.ports import Conclusion, Holder
from waiting import until

from .fakes import FakeTerminal
from .managers import Witness, manager
from .world import World

Opens = Callable[..., AbstractAsyncContextManager[SessionManager]]


@pytest.fixture
def keeping(world: World) -> Opens:
    """Open managers whose processes outlive them."""
    world.adoptable = True
    return partial(manager, world, capabilities=[Capability.WATCH, Capability.ADOPT])


@pytest.fixture
async def left(world: World, keeping: Opens) -> Session:
    """A session whose process runs, and whose host is gone."""
    async with keeping() as m:
        session = await m.create_session("one")
    world.watches.clear()
    return session


async def test_the_next_host_takes_over_the_process(
    world: World, keeping: Opens, left: Session, witness: Witness
) -> None:
    async with keeping(witness) as m:
        session = m.get_session(left.id)
        assert session is not None
        assert (session.status, session.pty_pid) == (SessionStatus.ACTIVE, left.pty_pid)
        assert m.terminal(left.id) is world.terminals[0]
        assert await m.holder(left.id) is Holder.HELD
        assert "sweep" not in world.calls
    (event,) = witness.seen(SessionsRestored)
    assert event.adopted == (left.id,)
    assert world.claims == {}


@pytest.mark.requirement("R4.1")
async def test_a_process_that_another_host_started_during_the_start_is_taken_over(
    world: World, keeping: Opens, left: Session
) -> None:
    async def resume() -> None:
        world.terminals[0].end(code=0)
        async with keeping() as theirs:
            await theirs.wait_ended(left.id)
            await theirs.resume_session(left.id)

    world.meanwhile["holder"] = [resume]
    async with keeping() as m:
        _, second = world.terminals
        assert m.terminal(left.id) is second
        assert second.status is None
    assert "sweep" not in world.calls


async def test_a_manager_that_adopts_a_process_after_its_start_ends_it_when_another_host_asks(
    world: World, keeping: Opens, left: Session
) -> None:
    async with keeping(restore=False) as m, keeping(restore=False) as other:
        await m.load_sessions()
        assert m.terminal(left.id) is world.terminals[0]
        await other.stop_session(left.id)
    assert world.living() == []


async def test_how_an_adopted_process_ends_is_recorded_and_then_collected(
    world: World, keeping: Opens, left: Session, witness: Witness
) -> None:
    (terminal,) = world.terminals
    terminal.end(code=3)
    async with keeping(witness) as m:
        session = await m.wait_ended(left.id)
        assert session.status is SessionStatus.ERROR
        assert session.details.exit == ExitStatus(code=3)
        assert world.stored(left.id) == session
        await until(lambda: witness.seen(ProcessExited))
    assert terminal.collected


async def test_a_process_that_ended_without_a_host_is_known_to_have_ended_after_the_start(
    world: World, keeping: Opens, left: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drained(self: FakeTerminal) -> None:
        for _ in range(20):  # the last output takes a moment to arrive
            await lowlevel.checkpoint()

    monkeypatch.setattr(FakeTerminal, "drained", drained)
    world.terminals[0].end(signal=15)
    async with keeping() as m:
        session = m.get_session(left.id)
        assert session is not None
        assert (session.status, session.pty_pid) == (SessionStatus.ERROR, None)
        resumed = await m.resume_session(left.id)
        assert resumed.status is SessionStatus.ACTIVE


async def test_an_end_is_collected_once_it_is_stored(world: World, keeping: Opens) -> None:
    async with keeping() as m:
        session = await m.create_session("one")
        (terminal,) = world.terminals
        world.faults["transact"] = [OSError("full")] * 100
        terminal.end(code=0)
        await m.wait_ended(session.id)
        assert not terminal.collected
        world.faults.clear()
        await until(lambda: terminal.collected)
        assert world.stored(session.id).details.exit == ExitStatus(code=0)


async def test_a_process_that_cannot_be_adopted_is_swept(
    world: World, keeping: Opens, left: Session
) -> None:
    world.terminals.clear()
    async with keeping() as m:
        session = m.get_session(left.id)
        assert session is not None
        assert (session.status, session.pty_pid) == (SessionStatus.IDLE, None)
    assert "sweep" in world.calls


async def test_a_process_that_cannot_be_reached_leaves_the_record_as_it_is(
    world: World, keeping: Opens, left: Session, witness: Witness
) -> None:
    world.faults["adopt"] = [TerminalError("silent")] * 2
    async with keeping(witness):
        assert world.stored(left.id).pty_pid == left.pty_pid
    (event,) = witness.seen(SessionsRestored)
    assert any("silent" in note for note in event.notes)
    assert "sweep" not in world.calls


async def test_a_question_that_the_dead_host_has_announced_is_not_announced_again(
    world: World, keeping: Opens, left: Session, witness: Witness
) -> None:
    asks = Conclusion(SessionStatus.WAITING, Source.TOLD, message="May I?")
    async with keeping() as m:
        await until(lambda: left.id in world.watches)
        world.watches.pop(left.id).find(asks)
        await until(lambda: world.stored(left.id).status is SessionStatus.WAITING)
    async with keeping(witness) as m:
        await until(lambda: left.id in world.watches)
        world.watches[left.id].find(asks)
        world.watches[left.id].find(replace(asks, message="And now?"))
        await until(lambda: witness.seen(SessionWaiting))
        session = m.get_session(left.id)
        assert session is not None
        assert session.status is SessionStatus.WAITING
    assert [event.evidence.message for event in witness.seen(SessionWaiting)] == ["And now?"]


async def test_stopping_what_a_dead_host_left_tells_how_it_ended(
    world: World, keeping: Opens, left: Session, witness: Witness
) -> None:
    async with keeping(witness, restore=False) as m:
        session = await m.stop_session(left.id)
        assert (session.status, session.pty_pid) == (SessionStatus.STOPPED, None)
        assert session.details.exit == world.terminals[0].status is not None
        assert world.stored(left.id) == session
        assert len(witness.seen(ProcessExited)) == len(witness.seen(SessionStatusChanged)) == 1
    assert world.terminals[0].collected
    assert "sweep" not in world.calls
    assert world.claims == {}


async def test_destroying_a_lost_session_asks_its_new_owner(
    world: World, keeping: Opens, left: Session, witness: Witness
) -> None:
    async with keeping(witness, restore=False) as m:
        await m.destroy_session(left.id, cleanup=True)
    assert len(witness.seen(ProcessExited)) == 1
    assert world.terminals[0].collected
    assert world.claims == {}


async def test_what_is_to_be_stopped_and_cannot_be_reached_is_swept(
    world: World, keeping: Opens, left: Session
) -> None:
    world.faults["adopt"] = [TerminalError("silent")]
    async with keeping(restore=False) as m:
        session = await m.stop_session(left.id)
        assert (session.status, session.pty_pid) == (SessionStatus.STOPPED, None)
    assert "sweep" in world.calls
    assert world.claims == {}


async def test_a_host_that_is_there_takes_over_when_the_owner_goes(
    world: World, keeping: Opens
) -> None:
    async with keeping() as second:
        async with keeping() as first:
            session = await first.create_session("one")
            await until(lambda: "adopt" in world.calls)
            assert not _has(second, session.id)
        world.terminals[0].depart()
        await until(lambda: _has(second, session.id))
        assert world.stored(session.id).pty_pid == session.pty_pid


async def test_no_host_takes_over_while_the_owner_lives(world: World, keeping: Opens) -> None:
    async with keeping() as first, keeping() as second:
        session = await first.create_session("one")
        world.terminals[0].depart()
        await until(lambda: "adopt" in world.calls)
        assert not _has(second, session.id)
        assert _has(first, session.id)


async def test_any_host_may_open_the_terminal_of_a_session(world: World, keeping: Opens) -> None:
    async with keeping() as first, keeping() as second:
        session = await first.create_session("one")
        assert await second.open_terminal(session.id) is world.terminals[0]
        assert await first.open_terminal(session.id) is world.terminals[0]


async def test_closing_ends_what_waits_for_another_host_before_the_terminals_are_closed(
    world: World, keeping: Opens
) -> None:
    async def look() -> None:
        try:
            await sleep_forever()
        finally:
            world.calls.append("looked")

    async with keeping() as theirs:
        await theirs.create_session("one")
        world.meanwhile["adopt"] = [look]
        async with keeping():
            await until(lambda: not world.meanwhile["adopt"])
        assert world.calls.index("looked") < world.calls.index("close terminal")


async def test_a_terminal_that_has_ended_is_opened_only_on_request(world: World) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.terminals[0].end(code=3)
        await m.wait_ended(session.id)
        with pytest.raises(SessionNotRunningError) as caught:
            await m.open_terminal(session.id)
        assert caught.value.exit_status == ExitStatus(code=3)
        assert await m.open_terminal(session.id, ended=True) is world.terminals[0]


@pytest.mark.parametrize("ends", [True, False])
async def test_a_terminal_that_ended_here_is_no_longer_shown_once_another_host_has_run_the_session(
    ends: bool, world: World
) -> None:
    async with manager(world) as ours, manager(world) as theirs:
        session = await ours.create_session("one")
        world.terminals[0].end(code=0)
        await ours.wait_ended(session.id)
        await theirs.resume_session(session.id)
        if ends:
            world.terminals[1].end(code=0)
            await theirs.wait_ended(session.id)
        await ours.load_sessions()
        with pytest.raises(SessionNotRunningError) as caught:
            ours.terminal(session.id)
        assert caught.value.elsewhere is not ends
        with pytest.raises(SessionNotRunningError):
            await ours.open_terminal(session.id, ended=True)


async def test_a_terminal_that_only_another_host_can_show_is_said_to_be_elsewhere(
    world: World,
) -> None:
    async with manager(world) as ours, manager(world) as theirs:
        session = await theirs.create_session("one")
        with pytest.raises(SessionNotRunningError, match="not running session 'one', another"):
            await ours.open_terminal(session.id)


async def test_the_terminal_of_a_session_without_a_process_cannot_be_opened(
    world: World, keeping: Opens
) -> None:
    async with keeping() as m:
        session = await m.create_session("one", start=False)
        with pytest.raises(SessionNotRunningError):
            await m.open_terminal(session.id)


def _has(host: SessionManager, session_id: str) -> bool:
    try:
        host.terminal(session_id)
    except SessionNotRunningError:
        return False
    return True


async def test_a_recorded_process_without_an_owner_that_can_be_adopted_is_not_a_finding(
    keeping: Opens, left: Session
) -> None:
    async with keeping(restore=False) as m:
        assert await m.diagnose() == ()


async def test_a_process_that_no_record_names_is_told_and_ended_on_request_alone(
    world: World, keeping: Opens, left: Session
) -> None:
    world.markers.clear()
    world.write()
    (terminal,) = world.terminals
    async with keeping() as m:
        assert terminal.status is None
        (finding,) = await m.diagnose()
        assert (finding.code, finding.session_id) == ("PROCESS_STRAY", left.id)
        assert terminal.status is None
        world.meanwhile["sweep"] = [terminal.signal_soon]
        (repaired,) = await m.repair()
        assert repaired.repaired
    assert world.claims == {}


async def test_a_process_that_the_record_of_its_session_does_not_name_is_told_and_left_alone(
    world: World, keeping: Opens, left: Session
) -> None:
    stale = left.evolve(pty_pid=None, status=SessionStatus.IDLE).detail(terminal_ref=None)
    world.markers.clear()
    world.write(stale)
    (terminal,) = world.terminals
    async with keeping() as m:
        for found in (await m.diagnose(), await m.repair()):
            (finding,) = found
            assert (finding.code, finding.session_id) == ("PROCESS_UNRECORDED", left.id)
            assert str(terminal.pid) in finding.message
        assert terminal.status is None


async def test_a_process_whose_keeper_is_just_ending_is_not_reported_as_unrecorded(
    world: World, keeping: Opens, left: Session
) -> None:
    stale = left.evolve(pty_pid=None, status=SessionStatus.IDLE).detail(terminal_ref=None)
    world.markers.clear()
    world.write(stale)
    (terminal,) = world.terminals

    async def leave() -> None:
        terminal.end(code=0)

    async with keeping() as m:
        world.meanwhile["kept"] = [lowlevel.checkpoint, lowlevel.checkpoint, leave]
        assert await m.diagnose() == ()


async def test_a_process_that_is_being_started_is_not_a_finding(
    world: World, keeping: Opens
) -> None:
    async with keeping(restore=False) as first, keeping() as second:

        async def start() -> None:
            await second.create_session("two")

        world.meanwhile["kept"] = [start]
        assert await first.diagnose() == ()
