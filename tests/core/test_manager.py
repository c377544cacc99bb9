"""The manager: opening and closing, look-ups, changes, and the hooks that announce them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from anyio import create_task_group

from frith import (
    Holder,
    PluginState,
    Session,
    SessionManager,
    SessionStatus,
    hookimpl,
)
from frith._engine import lifespan
from frith.errors import (
    ConfigurationError,
    InvalidNameError,
    ManagerClosedError,
    PluginError,
    ProviderFailedError,
    ProviderNotFoundError,
    SessionNotFoundError,
    SessionNotRunningError,
    SessionRunningError,
    StoreError,
)
from frith.events import SessionChangedElsewhere, SessionStatusChanged, SessionUpdated
from frith.model import now
from frith.ports import MarkerState
from frith.providers import Capability, Role
from waiting import until

from .managers import FakePlugin, Witness, configuration, manager
from .world import World, a_session, as_running


@pytest.fixture
def one(world: World) -> Session:
    """A stopped session with a worktree."""
    session = world.inhabit(a_session("one"))
    world.write(session)
    return session


@pytest.mark.parametrize(
    "use",
    [
        lambda m: m.get_session("x"),
        lambda m: m.get_all_sessions(),
        lambda m: m.terminal("x"),
        lambda m: m.plugins,
    ],
)
def test_a_manager_that_is_not_open_says_so(use: Callable[[SessionManager], object]) -> None:
    with pytest.raises(ManagerClosedError, match="async with"):
        use(manager(World()))


@pytest.mark.parametrize(
    "use",
    [
        lambda m: m.create_session("x"),
        lambda m: m.destroy_session("x"),
        lambda m: m.load_sessions(),
        lambda m: m.holder("x"),
    ],
)
async def test_a_manager_that_was_closed_says_so(use: Any, world: World) -> None:
    async with manager(world) as m:
        pass
    with pytest.raises(ManagerClosedError):
        await use(m)


async def test_leaving_a_manager_that_was_never_entered_is_not_an_error(world: World) -> None:
    await manager(world).__aexit__(None, None, None)


async def test_a_manager_may_be_opened_again(world: World) -> None:
    m = manager(world)
    for number in range(2):
        async with m:
            assert len(m.get_all_sessions()) == number
            await m.create_session(f"s{number}")


async def test_an_exception_of_the_hosts_passes_as_it_is(world: World) -> None:
    error = KeyError("mine")

    async def host() -> None:
        async with manager(world) as m:
            await m.create_session("one")
            raise error

    with pytest.raises(KeyError) as raised:
        await host()
    assert raised.value is error
    assert world.living() == []


async def test_an_exception_group_of_the_hosts_passes_as_it_is(world: World) -> None:
    group = ExceptionGroup("mine", [KeyError("x")])
    with pytest.raises(ExceptionGroup) as raised:
        async with manager(world):
            raise group
    assert raised.value is group


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"store": "jsn"}, ProviderNotFoundError),
        ({"options": {"plugin": {"nobody": {}}}}, ConfigurationError),
        ({"options": {"store": {"fake": {"x": 1}}}}, ConfigurationError),
    ],
)
async def test_a_manager_that_cannot_open_says_why_and_leaves_nothing(
    options: dict[str, Any], expected: type[Exception], world: World
) -> None:
    m = manager(world, **options)
    with pytest.raises(expected):
        await m.__aenter__()
    with pytest.raises(ManagerClosedError):
        m.get_all_sessions()


async def test_an_invalid_plugin_of_the_hosts_is_said_at_once(world: World) -> None:
    class Wrong:
        @hookimpl
        def frith_session_created(self, event: object) -> None: ...

    with pytest.raises(PluginError, match="must be async"):
        async with manager(world, Wrong()):
            pass


@pytest.mark.requirement("R6.3")
async def test_every_plugin_is_listed_with_its_state(world: World) -> None:
    async with manager(world) as m:
        (fakes,) = (record for record in m.plugins if record.name == "fakes")
        assert (fakes.distribution, fakes.state) == ("host", PluginState.LOADED)
        assert set(fakes.providers) == {f"{role}:fake" for role in Role}


@pytest.mark.requirement("R2.6")
async def test_looking_up_does_not_touch_the_store(world: World, one: Session) -> None:
    async with manager(world) as m:
        loads, calls = world.loads, len(world.calls)
        assert m.get_session(one.id) == one
        assert m.get_session("nobody") is None
        assert m.get_all_sessions() == (one,)
        assert (world.loads, len(world.calls)) == (loads, calls)


@pytest.mark.requirement("R2.6")
async def test_an_unknown_id_is_an_error_wherever_something_is_to_be_done(world: World) -> None:
    async with manager(world) as m:
        for act in (
            m.update_session_status("nobody", SessionStatus.IDLE),
            m.update_last_activity("nobody"),
            m.update_session("nobody", name="x"),
        ):
            with pytest.raises(SessionNotFoundError):
                await act
        with pytest.raises(SessionNotRunningError):
            m.terminal("nobody")


@pytest.mark.requirement("R3.5")
async def test_a_changed_status_is_stored_and_told(
    world: World, one: Session, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        changed = await m.update_session_status(one.id, SessionStatus.WAITING)
        assert changed == world.stored(one.id) == m.get_session(one.id)
        (event,) = witness.seen(SessionStatusChanged)
        assert (event.previous, event.session) == (SessionStatus.STOPPED, changed)
        await m.update_session_status(one.id, SessionStatus.WAITING)
        assert len(witness.seen(SessionStatusChanged)) == 1


async def test_a_status_may_be_given_by_its_name(world: World, one: Session) -> None:
    async with manager(world) as m:
        changed = await m.update_session_status(one.id, "idle")  # type: ignore[arg-type]
        assert changed.status is SessionStatus.IDLE
        with pytest.raises(ValueError, match="busy"):
            await m.update_session_status(one.id, "busy")  # type: ignore[arg-type]


@pytest.mark.requirement("R3.5")
async def test_activity_is_stored(world: World, one: Session) -> None:
    async with manager(world) as m:
        changed = await m.update_last_activity(one.id)
        assert world.stored(one.id).last_activity == changed.last_activity >= one.last_activity


@pytest.mark.requirement("R1.8")
async def test_a_change_changes_what_is_given_and_nothing_else(world: World, one: Session) -> None:
    async with manager(world) as m:
        await m.update_session(one.id, current_phase="plan", metadata={"n": {"deep": None}})
        await m.update_session(one.id, name="two")
        stored = world.stored(one.id)
        assert (stored.name, stored.current_phase) == ("two", "plan")
        assert stored.metadata == {"n": {"deep": None}}
        assert stored.branch == one.branch
        assert world.markers[one.id].session.name == "two"
        cleared = await m.update_session(one.id, current_phase=None, metadata=None)
        assert (cleared.current_phase, cleared.metadata) == (None, None)


@pytest.mark.requirement("R1.10")
async def test_an_error_about_a_session_has_its_name_unless_another_has_the_same(
    world: World,
) -> None:
    async with manager(world) as m:
        first = await m.create_session("one")
        with pytest.raises(SessionRunningError) as caught:
            await m.resume_session(first.id)
        assert str(caught.value) == "Session 'one' is running already. Stop it first."
        await m.create_session("one", "another-branch")
        with pytest.raises(SessionRunningError) as caught:
            await m.resume_session(first.id)
        assert str(caught.value) == f"Session {first.id} is running already. Stop it first."


async def test_a_change_by_this_manager_is_told(
    world: World, one: Session, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        changed = await m.update_session(one.id, name="two", metadata={"n": 1})
        active = await m.update_last_activity(one.id)
        await m.update_session(one.id, name="two")
        told = [(event.before, event.session) for event in witness.seen(SessionUpdated)]
        assert told == [(one, changed), (changed, active)]


async def test_output_is_told_as_activity(world: World, witness: Witness, hasty: None) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")

        def told() -> bool:
            world.terminals[0].say(b"hello")
            return bool(witness.seen(SessionUpdated))

        await until(told)
        (event, *_) = witness.seen(SessionUpdated)
        assert event.session.id == session.id
        assert event.session.last_activity > event.before.last_activity


async def test_a_session_cannot_be_given_an_invalid_name(world: World, one: Session) -> None:
    async with manager(world) as m:
        with pytest.raises(InvalidNameError):
            await m.update_session(one.id, name="")
        assert world.stored(one.id) == one


@pytest.mark.requirement("R3.5")
async def test_a_hundred_concurrent_updates_cost_three_writes_and_two_markers_at_most(
    world: World, one: Session, hasty: None
) -> None:
    async with manager(world) as m:
        world.calls.clear()
        async with create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(m.update_session_status, one.id, list(SessionStatus)[number % 5])
        assert world.writes <= 3
    assert world.calls.count("remember live") <= 2
    assert world.markers[one.id].session == world.stored(one.id)


async def test_a_hundred_concurrent_changes_of_a_phase_cost_three_writes_at_most(
    world: World, one: Session
) -> None:
    async def change(number: int) -> None:
        await m.update_session(one.id, current_phase=str(number))

    async with manager(world) as m:
        async with create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(change, number)
        assert world.writes <= 3


@pytest.mark.requirement("R3.6")
async def test_a_change_that_cannot_be_stored_raises_and_the_next_may_succeed(
    world: World, one: Session, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        world.faults["write"] = [StoreError("disk full")]
        with pytest.raises(StoreError):
            await m.update_session_status(one.id, SessionStatus.IDLE)
        assert m.get_session(one.id) == one
        assert witness.seen(SessionStatusChanged) == []
        assert await m.update_session_status(one.id, SessionStatus.IDLE)


async def test_the_holder_of_a_session_is_returned(world: World, one: Session) -> None:
    async with manager(world) as owner, manager(world) as m:
        assert await m.holder(one.id) is Holder.FREE
        await owner.resume_session(one.id)
        assert await owner.holder(one.id) is await m.holder(one.id) is Holder.HELD
        world.unknown_holders.add(one.id)
        assert await m.holder(one.id) is Holder.UNKNOWN


@pytest.mark.requirement("R3.7")
@pytest.mark.requirement("R6.4")
async def test_two_managers_see_each_others_changes(
    world: World, one: Session, witness: Witness
) -> None:
    async with manager(world) as theirs, manager(world, witness) as ours:
        await until(lambda: len(world.watchers) == 2)
        changed = await theirs.update_session(one.id, name="two")
        await until(lambda: ours.get_session(one.id) == changed)
        created = await theirs.create_session("new", start=False)
        await until(lambda: ours.get_session(created.id))
        await theirs.destroy_session(one.id)
        await until(lambda: ours.get_session(one.id) is None)
        await until(lambda: len(witness.seen(SessionChangedElsewhere)) >= 3)
        told = [(e.before and e.before.id, e.after and e.after.id)
                for e in witness.seen(SessionChangedElsewhere)]  # fmt: skip
        assert (one.id, one.id) in told
        assert (None, created.id) in told
        assert (one.id, None) in told
        assert witness.seen(SessionStatusChanged) == []


async def test_a_change_by_this_manager_is_not_reported_as_changed_elsewhere(
    world: World, one: Session, witness: Witness
) -> None:
    async with manager(world, witness) as m:
        await m.resume_session(one.id)
        await m.destroy_session(one.id)
        assert witness.seen(SessionChangedElsewhere) == []


@pytest.mark.requirement("R1.3")
async def test_closing_ends_what_runs_and_stores_deferred_changes(world: World) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        (terminal,) = world.terminals
        await until(lambda: terminal.viewers and now() > session.last_activity)
        terminal.say(b"x")
        await until(lambda: m.get_session(session.id) != session)
    assert world.stored(session.id).last_activity > session.last_activity
    assert world.markers[session.id].session == world.stored(session.id)
    assert world.markers[session.id].state is MarkerState.LIVE
    assert world.watchers == []


async def test_processes_that_may_outlive_their_host_are_left_running(world: World) -> None:
    async with manager(world, capabilities=[Capability.WATCH, Capability.ADOPT]) as m:
        session = await m.create_session("one")
    assert len(world.living()) == 1
    assert world.stored(session.id).pty_pid == session.pty_pid
    assert world.claims == {}


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize("role", list(Role))
async def test_a_provider_that_fails_to_close_does_not_keep_the_others_open(
    role: Role, world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        await m.create_session("one")
        world.faults[f"close {role}"] = [RuntimeError("does not close")]
    assert world.claims == {}
    assert [(e["event"], e["role"]) for e in logged] == [("provider_failed", role)]


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize("role", list(Role))
async def test_a_provider_that_collapsed_does_not_take_the_host_down(
    role: Role, world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one", start=False)
        async with m._engine.providers.use(Role.TERMINAL), m._engine.providers.use(Role.STATUS):
            pass
        world.collapses[role].set()
        await until(lambda: [e for e in logged if e["event"] == "provider_failed"])
        assert m.get_session(session.id) == session
        if role is not Role.RECOVERY:
            with pytest.raises(ProviderFailedError):
                await m.create_session("two")


async def test_a_store_that_collapsed_lets_go_of_its_claims_and_that_is_said(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        await m.create_session("one")
        world.collapses[Role.STORE].set()
        await until(lambda: [e for e in logged if e["event"] == "claim_lost"])
        with pytest.raises(ProviderFailedError):
            await m.load_sessions()
    assert world.claims == {}
    assert "terminate" not in world.calls


async def test_what_cannot_be_stored_when_closing_is_logged(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        m._engine.ledger.defer(session.id, "phase", lambda s: s.evolve(current_phase="x"))
        world.faults["write"] = [StoreError("disk full"), StoreError("disk full")]
    assert "flush_failed" in {entry["event"] for entry in logged}


async def test_a_step_of_closing_that_hangs_is_given_up(
    world: World, logged: list[Any], hanging: Any
) -> None:
    async with manager(world, terminate_grace=0) as m:
        await m.create_session("one")
        world.meanwhile["terminate"] = [hanging(lifespan)]
    assert {"event": "closing_step_abandoned", "log_level": "error"}.items() <= logged[0].items()
    assert world.claims == {}


@pytest.mark.requirement("R3.7")
async def test_a_request_that_an_owner_cannot_meet_is_logged_and_it_stays_the_owner(
    world: World, logged: list[Any], witness: Witness
) -> None:
    async with manager(world, witness) as m:
        session = await m.create_session("one")
        await until(lambda: world.watchers)
        world.faults["terminate"] = [StoreError("cannot")]
        world.write(world.stored(session.id).detail(desired=SessionStatus.STOPPED))
        await until(lambda: witness.seen(SessionChangedElsewhere))
        assert logged[0]["event"] == "request_not_met"
        assert len(world.living()) == 1


async def test_a_request_to_stop_a_session_that_this_process_does_not_run_is_ignored(
    world: World, one: Session, witness: Witness
) -> None:
    async with manager(world, witness):
        await until(lambda: world.watchers)
        world.write(as_running(one).detail(desired=SessionStatus.STOPPED))
        await until(lambda: witness.seen(SessionChangedElsewhere))
        assert world.stored(one.id).details.desired is SessionStatus.STOPPED


async def test_a_watch_that_fails_is_logged_and_begun_again(
    world: World, hasty: None, logged: list[Any]
) -> None:
    async with manager(world) as m:
        await until(lambda: world.watchers)
        world.faults["watch"] = [RuntimeError("inotify is full")]
        world.write()
        await until(lambda: [e for e in logged if e["event"] == "following_failed"])
        await until(lambda: world.watchers)
        world.write(one := a_session("one"))
        await until(lambda: m.get_session(one.id))


async def test_saving_stores_deferred_changes(world: World) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        m._engine.ledger.defer(session.id, "phase", lambda s: s.evolve(current_phase="x"))
        await m.save_sessions()
        assert world.stored(session.id).current_phase == "x"


@pytest.mark.requirement("R2.2")
async def test_loading_takes_over_what_is_stored(world: World, one: Session) -> None:
    async with manager(world, capabilities=()) as m:
        world.write(one, a_session("two"))
        assert len(await m.load_sessions()) == 2
        assert len(m.get_all_sessions()) == 2


def test_a_manager_keeps_the_configuration_of_the_host() -> None:
    config = configuration()
    assert SessionManager(config, plugins={"fakes": FakePlugin(World())}).config is config
