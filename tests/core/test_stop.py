"""The end of processes: by themselves, on request, with their host, or in another host."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from anyio import Event, create_task_group, sleep_forever

from frith import SessionStatus
from frith.errors import (
    ProviderFailedError,
    SessionNotFoundError,
    SessionOwnedError,
    StoreError,
    TerminalError,
)
from frith.events import ProcessExited, SessionStatusChanged
from frith.model import ExitStatus, now
from frith.providers import Role
from waiting import until

from .managers import Witness, manager
from .world import World, a_session, as_running


@pytest.mark.requirement("R1.3")
@pytest.mark.requirement("R1.6")
@pytest.mark.parametrize(
    ("code", "signal", "status"),
    [
        (0, None, SessionStatus.STOPPED),
        (1, None, SessionStatus.ERROR),
        (None, 9, SessionStatus.ERROR),
        (None, 15, SessionStatus.ERROR),
    ],
)
async def test_how_a_process_ends_by_itself_is_its_sessions_status(
    code: int | None,
    signal: int | None,
    status: SessionStatus,
    world: World,
    witness: Witness,
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        world.terminals[0].end(code, signal)
        ended = await m.wait_ended(session.id)
        assert ended == world.stored(session.id) == m.get_session(session.id)
        assert (ended.status, ended.pty_pid) == (status, None)
        assert ended.details.exit == ExitStatus(code=code, signal=signal)
        assert ended.details.terminal_ref is None
        assert world.claims == {}
        await until(lambda: witness.seen(ProcessExited))
        assert [(e.previous, e.session.status) for e in witness.seen(SessionStatusChanged)] == [
            (SessionStatus.ACTIVE, status)
        ]
        assert witness.seen(ProcessExited)[0].exit == ExitStatus(code=code, signal=signal)


@pytest.mark.parametrize("code", [0, 1])
async def test_a_process_that_a_shutdown_has_ended_makes_its_session_idle(
    code: int, world: World
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.terminals[0].shut_down = True
        world.terminals[0].end(code)
        ended = await m.wait_ended(session.id)
        assert (ended.status, ended.details.exit) == (SessionStatus.IDLE, ExitStatus(code=code))


@pytest.mark.requirement("R1.3")
async def test_a_stop_on_request_during_a_shutdown_is_stopped(world: World) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.terminals[0].shut_down = True
        assert (await m.stop_session(session.id)).status is SessionStatus.STOPPED


@pytest.mark.requirement("R1.3")
async def test_a_session_that_is_stopped_on_request_is_stopped_whatever_its_exit_status(
    world: World,
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        stopped = await m.stop_session(session.id)
        assert (stopped.status, stopped.pty_pid) == (SessionStatus.STOPPED, None)
        assert stopped.details.exit == ExitStatus(signal=15)
        assert stopped == world.stored(session.id)
        assert world.claims == {}


@pytest.mark.requirement("R1.3")
async def test_a_host_that_leaves_makes_its_sessions_idle(world: World) -> None:
    async with manager(world) as m:
        running = await m.create_session("one")
        stopped = await m.stop_session((await m.create_session("two")).id)
    assert world.living() == []
    assert world.claims == {}
    assert world.stored(running.id).status is SessionStatus.IDLE
    assert world.stored(running.id).pty_pid is None
    assert world.stored(stopped.id).status is SessionStatus.STOPPED


async def test_stopping_what_does_not_run_makes_it_stopped(world: World, witness: Witness) -> None:
    session = world.inhabit(a_session("one", status=SessionStatus.ERROR))
    world.write(session)
    async with manager(world, witness) as m:
        for _ in range(2):
            assert (await m.stop_session(session.id)).status is SessionStatus.STOPPED
        assert len(witness.seen(SessionStatusChanged)) == 1
        assert world.claims == {}


async def test_a_session_that_does_not_exist_cannot_be_stopped(world: World) -> None:
    async with manager(world) as m:
        with pytest.raises(SessionNotFoundError):
            await m.stop_session("nobody")
        with pytest.raises(SessionNotFoundError):
            await m.wait_ended("nobody")


async def test_waiting_for_what_does_not_run_does_not_wait(world: World) -> None:
    session = world.inhabit(a_session("one"))
    world.write(session)
    async with manager(world) as m:
        assert await m.wait_ended(session.id) == session


@pytest.mark.requirement("R3.7")
@pytest.mark.parametrize("watch", [True, False])
async def test_the_owner_elsewhere_is_asked_and_stops_it(
    watch: bool, world: World, witness: Witness, hasty: None
) -> None:
    capabilities = None if watch else ()
    options: dict[str, Any] = {} if watch else {"capabilities": capabilities}
    async with (
        manager(world, witness, **options) as owner,
        manager(world, restore=False, **options) as m,
    ):
        session = await owner.create_session("one")
        stopped = await m.stop_session(session.id)
        assert stopped.status is SessionStatus.STOPPED
        assert stopped == world.stored(session.id)
        assert stopped.details.desired is None
        assert world.living() == []
        assert world.claims == {}
        assert (await owner.wait_ended(session.id)).status is SessionStatus.STOPPED


async def test_an_owner_that_does_not_let_go_in_time_keeps_it(
    world: World, impatient: None, hasty: None
) -> None:
    session = world.inhabit(as_running(a_session("one")))
    world.write(session)
    world.claims[session.id] = 1
    async with manager(world, terminate_grace=0) as m:
        with pytest.raises(SessionOwnedError) as refused:
            await m.stop_session(session.id)
        assert refused.value.certain
        assert world.stored(session.id).details.desired is None  # the request is withdrawn
        assert world.stored(session.id).pty_pid == session.pty_pid


async def test_an_owner_that_died_meanwhile_is_not_waited_for(world: World, hasty: None) -> None:
    session = world.inhabit(as_running(a_session("one")))
    world.write(session)
    world.leftovers[session.id] = (4711,)
    world.claims[session.id] = 1

    async def die() -> None:
        await until(lambda: world.stored(session.id).details.desired)
        world.claims.clear()

    async with manager(world, terminate_grace=0) as m, create_task_group() as tasks:
        tasks.start_soon(die)
        stopped = await m.stop_session(session.id)
        assert stopped.status is SessionStatus.STOPPED
        assert world.leftovers == {}


async def test_a_session_whose_owner_is_unknown_is_not_stopped(world: World) -> None:
    session = world.inhabit(as_running(a_session("one")))
    world.write(session)
    world.unknown_holders.add(session.id)
    async with manager(world) as m:
        with pytest.raises(SessionOwnedError) as refused:
            await m.stop_session(session.id)
        assert not refused.value.certain
        assert world.stored(session.id) == session


@pytest.mark.requirement("R4.3")
async def test_what_a_dead_owner_left_running_is_ended(world: World) -> None:
    session = world.inhabit(a_session("one"))
    world.write(session)
    async with manager(world, capabilities=()) as m:
        world.write(as_running(session))
        world.leftovers[session.id] = (4711,)
        assert (await m.stop_session(session.id)).status is SessionStatus.STOPPED
        assert world.leftovers == {}


@pytest.mark.requirement("R4.3")
async def test_only_the_terminal_provider_of_the_record_ends_what_was_left(world: World) -> None:
    session = world.inhabit(a_session("one"))
    world.write(session)
    async with manager(world, capabilities=()) as m:
        world.write(as_running(session).detail(terminal="elsewhere"))
        world.leftovers[session.id] = (4711,)
        assert (await m.stop_session(session.id)).pty_pid is None
        assert world.leftovers == {session.id: (4711,)}


@pytest.mark.requirement("R3.6")
async def test_an_exit_that_cannot_be_stored_is_stored_later(
    world: World, hasty: None, logged: list[Any]
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.faults["write"] = [StoreError("disk full"), StoreError("disk full")]
        world.terminals[0].end(code=1)
        ended = await m.wait_ended(session.id)
        assert (ended.status, ended.pty_pid) == (SessionStatus.ERROR, None)
        assert world.claims == {}
        await until(lambda: world.stored(session.id).status is SessionStatus.ERROR)
    assert logged[0]["event"] == "exit_not_stored"


async def test_the_exit_of_a_session_that_another_destroyed_is_not_an_error(
    world: World, logged: list[Any]
) -> None:
    async with manager(world, capabilities=()) as m:
        session = await m.create_session("one")
        world.write()
        world.terminals[0].end(code=0)
        with pytest.raises(SessionNotFoundError):
            await m.wait_ended(session.id)
        assert world.claims == {}
    assert logged == []


@pytest.mark.requirement("R7.5")
async def test_a_terminal_provider_that_collapses_makes_its_sessions_idle_and_the_host_lives(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.collapses[Role.TERMINAL].set()
        assert (await m.wait_ended(session.id)).status is SessionStatus.IDLE
        assert world.claims == {}
        with pytest.raises(ProviderFailedError):
            await m.resume_session(session.id)
        assert await m.create_session("two", start=False)
    assert {"provider_failed", "terminal_lost"} <= {entry["event"] for entry in logged}


@pytest.mark.parametrize("method", ["exited", "drained", "attach"])
async def test_a_terminal_with_a_bug_does_not_take_the_host_down(
    method: str, world: World, logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug")

    async with manager(world) as m:
        session = await m.create_session("one", start=False)
        monkeypatch.setattr("core.fakes.FakeTerminal." + method, bug)
        await m.resume_session(session.id)
        if method == "drained":
            world.terminals[0].end(code=0)
        if method != "attach":
            assert (await m.wait_ended(session.id)).pty_pid is None
        await until(lambda: logged)
        assert m.get_session(session.id)
        monkeypatch.undo()
    assert "a bug" in str(logged[0])


async def test_a_stop_that_fails_leaves_the_session_running_and_may_be_repeated(
    world: World,
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.faults["terminate"] = [TerminalError("does not die")]
        with pytest.raises(TerminalError):
            await m.stop_session(session.id)
        assert m.get_session(session.id) == session
        assert session.id in world.claims
        assert (await m.stop_session(session.id)).status is SessionStatus.STOPPED


async def test_a_process_that_cannot_be_ended_does_not_keep_the_manager_open(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        await m.create_session("one")
        world.faults["terminate"] = [TerminalError("does not die")]
    assert world.claims == {}
    assert [entry["event"] for entry in logged] == ["process_not_ended"]


@pytest.mark.requirement("R3.5")
async def test_output_is_activity_and_is_coalesced(world: World, hasty: None) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        (terminal,) = world.terminals
        await m.save_sessions()
        writes = world.writes
        await until(lambda: terminal.viewers and now() > session.last_activity)
        for _ in range(50):
            terminal.say(b"x")
        await until(lambda: world.writes > writes)
        assert world.writes == writes + 1
        assert world.stored(session.id).last_activity > session.last_activity


async def test_activity_never_goes_back(world: World, hasty: None) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        future = now() + timedelta(hours=1)
        world.write(world.stored(session.id).evolve(last_activity=future))
        await until(lambda: m.get_all_sessions()[0].last_activity == future)
        world.terminals[0].say(b"x")
        await m.save_sessions()
        assert world.stored(session.id).last_activity == future


async def test_a_terminal_that_is_taken_by_viewers_stays_there_when_it_has_ended(
    world: World,
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        terminal = m.terminal(session.id)
        await terminal.write(b"hello")
        await m.stop_session(session.id)
        async with m.terminal(session.id).attach() as attachment:
            assert attachment.snapshot == b"hello"


async def test_a_process_that_never_drains_does_not_stop_others_from_ending(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with manager(world) as m:
        one, two = await m.create_session("one"), await m.create_session("two")
        monkeypatch.setattr(world.terminals[0], "drained", sleep_forever)
        world.terminals[0].end(code=0)
        assert (await m.stop_session(two.id)).status is SessionStatus.STOPPED
        monkeypatch.undo()
        assert m.get_session(one.id)
        world.collapses[Role.TERMINAL].set()


async def test_a_destruction_cancelled_once_the_end_of_its_process_is_recorded_owns_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        (terminal,) = world.terminals
        recorded = Event()

        async def terminate(grace: float) -> None:
            terminal.end(code=0)
            await m.wait_ended(session.id)
            recorded.set()
            await sleep_forever()

        monkeypatch.setattr(terminal, "terminate", terminate)
        async with create_task_group() as tasks:
            tasks.start_soon(m.destroy_session, session.id)
            await recorded.wait()
            assert session.id in world.claims
            tasks.cancel_scope.cancel()
        assert world.claims == {}
        assert world.stored(session.id).status is SessionStatus.STOPPED


async def test_a_stop_that_is_requested_meanwhile_takes_the_claim_from_no_caller_that_keeps_it(
    world: World,
) -> None:
    async with manager(world) as ours:
        session = await ours.create_session("one")
        asked = world.stored(session.id).detail(desired=SessionStatus.STOPPED)

        async def ask() -> None:
            world.write(asked)
            await until(lambda: world.calls.count("terminate") == 2)

        async def look() -> None:
            assert session.id in world.claims

        world.meanwhile["terminate"] = [ask, look]
        world.meanwhile["remember released"] = [look]
        await ours.destroy_session(session.id)
        assert not world.meanwhile["remember released"]


async def test_a_destruction_that_begins_as_the_claim_is_given_back_claims_the_session_again(
    world: World,
) -> None:
    async with manager(world) as m, create_task_group() as tasks:
        session = await m.create_session("one")

        async def destroy() -> None:
            tasks.start_soon(m.destroy_session, session.id)
            await until(lambda: "terminate" in world.calls)

        async def look() -> None:
            assert session.id in world.claims

        world.meanwhile["release"] = [destroy]
        world.meanwhile["remember released"] = [look]
        world.terminals[0].end(code=0)
        await until(lambda: not m.get_all_sessions())
    assert not world.meanwhile["remember released"]
    assert world.claims == {}


async def test_an_end_that_is_stored_late_does_not_end_the_next_process(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        world.faults["write"] = [StoreError("disk full")]
        world.terminals[0].end(code=1)
        await m.wait_ended(session.id)
        resumed = await m.resume_session(session.id)
        await m.save_sessions()
        assert world.stored(session.id).pty_pid == resumed.pty_pid
    assert logged[0]["event"] == "exit_not_stored"
