"""What the status provider concludes is recorded and announced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from anyio import Event

from frith import Session, SessionManager, SessionStatus, hookimpl
from frith.errors import ProviderNotFoundError
from frith.events import (
    SessionChangedElsewhere,
    SessionStatusChanged,
    SessionStuck,
    SessionWaiting,
)
from frith.model import Source
from frith.ports import Conclusion, Stuck
from waiting import until

from .fakes import FakeWatch
from .managers import Witness, manager
from .world import World

ASKS = Conclusion(SessionStatus.WAITING, Source.SCREEN, 0.5, "Continue?")
WORKS = Conclusion(SessionStatus.ACTIVE, Source.PROCESS, 0.8)


@pytest.fixture
async def host(world: World, witness: Witness) -> AsyncIterator[SessionManager]:
    async with manager(world, witness) as m:
        yield m


async def watched(world: World, host: SessionManager) -> tuple[Session, FakeWatch]:
    session = await host.create_session("one")
    await until(lambda: session.id in world.watches)
    return session, world.watches[session.id]


async def test_a_conclusion_is_stored_with_its_source(world: World, host: SessionManager) -> None:
    session, watch = await watched(world, host)
    watch.find(ASKS)
    await until(lambda: world.stored(session.id).status is SessionStatus.WAITING)
    evidence = world.stored(session.id).evidence
    assert evidence is not None
    assert (evidence.source, evidence.confidence, evidence.message) == (
        Source.SCREEN,
        0.5,
        "Continue?",
    )
    assert "evidence" not in str(world.stored(session.id).to_record())


async def test_since_is_when_the_status_began_not_when_it_was_confirmed(
    world: World, host: SessionManager
) -> None:
    session, watch = await watched(world, host)
    watch.find(ASKS)
    await until(lambda: world.stored(session.id).status is SessionStatus.WAITING)
    began = world.stored(session.id).details.evidence
    watch.find(Conclusion(SessionStatus.WAITING, Source.TOLD, message="Now?"))
    await until(lambda: world.stored(session.id).details.evidence != began)
    confirmed = world.stored(session.id).details.evidence
    assert began is not None
    assert confirmed is not None
    assert confirmed.since == began.since


async def test_each_question_is_announced_once(
    world: World, host: SessionManager, witness: Witness
) -> None:
    _, watch = await watched(world, host)
    again = Conclusion(SessionStatus.WAITING, Source.TOLD, message="Really?")
    silent = Conclusion(SessionStatus.WAITING, Source.PROCESS)
    for finding in (ASKS, ASKS, silent, again, WORKS, ASKS):
        watch.find(finding)
    await until(lambda: len(witness.seen(SessionWaiting)) == 3)
    asked = [event.evidence.message for event in witness.seen(SessionWaiting)]
    assert asked == ["Continue?", "Really?", "Continue?"]
    changes = [event.session.status.value for event in witness.seen(SessionStatusChanged)]
    assert changes == ["waiting", "active", "waiting"]


async def test_a_stuck_process_is_announced_and_its_status_kept(
    world: World, host: SessionManager, witness: Witness
) -> None:
    session, watch = await watched(world, host)
    watch.find(Stuck(1800.0))
    await until(lambda: witness.seen(SessionStuck))
    (event,) = witness.seen(SessionStuck)
    assert (event.session.id, event.silent) == (session.id, 1800.0)
    assert world.stored(session.id).status is SessionStatus.ACTIVE


async def test_a_status_that_is_reported_here_reaches_the_watch(
    world: World, host: SessionManager
) -> None:
    session, watch = await watched(world, host)
    await host.update_session_status(session.id, SessionStatus.WAITING, message="May I?")
    assert watch.told == [Conclusion(SessionStatus.WAITING, Source.TOLD, message="May I?")]


async def test_a_status_that_another_process_reports_reaches_the_watch_and_is_announced_once(
    world: World, host: SessionManager, witness: Witness
) -> None:
    session, watch = await watched(world, host)
    reporters = Witness()
    async with manager(world, reporters, restore=False) as reporter:
        await reporter.update_session_status(session.id, SessionStatus.WAITING, message="May I?")
    await until(lambda: witness.seen(SessionWaiting))
    assert [conclusion.message for conclusion in watch.told] == ["May I?"]
    assert [event.evidence.message for event in witness.seen(SessionWaiting)] == ["May I?"]
    assert reporters.seen(SessionWaiting) == []


@pytest.mark.requirement("R3.7")
async def test_a_report_that_comes_just_before_a_commit_of_this_manager_is_not_lost(
    world: World, host: SessionManager, witness: Witness
) -> None:
    session, watch = await watched(world, host)

    async def report() -> None:
        stored = world.stored(session.id)
        told = stored.conclude(SessionStatus.WAITING, Source.TOLD, message="May I?")
        world.write(told)

    world.meanwhile["transact"] = [report]
    await host.update_last_activity(session.id)
    await until(lambda: watch.told and witness.seen(SessionChangedElsewhere))
    assert world.stored(session.id).status is SessionStatus.WAITING
    changed = witness.seen(SessionChangedElsewhere)
    assert [e.after.status for e in changed if e.after] == [SessionStatus.WAITING]


async def test_a_conclusion_that_comes_after_the_end_changes_nothing(
    world: World, host: SessionManager, witness: Witness
) -> None:
    session, watch = await watched(world, host)
    ended = world.stored(session.id).evolve(pty_pid=None, status=SessionStatus.STOPPED)
    world.write(ended)
    watch.find(ASKS)
    watch.find(Stuck(1.0))
    await until(lambda: witness.seen(SessionStuck))
    assert world.stored(session.id) == ended
    assert witness.seen(SessionWaiting) == []


@pytest.mark.requirement("R1.3")
async def test_the_end_of_a_process_is_evidence_of_its_own(
    world: World, host: SessionManager
) -> None:
    session, _ = await watched(world, host)
    world.terminals[0].end(code=3)
    evidence = (await host.wait_ended(session.id)).evidence
    assert evidence is not None
    assert (evidence.source, evidence.message) == (Source.PROCESS, "exit code 3")


async def test_a_status_that_another_program_wrote_has_no_evidence(
    world: World, host: SessionManager
) -> None:
    session, watch = await watched(world, host)
    watch.find(ASKS)
    await until(lambda: world.stored(session.id).evidence)
    assert world.stored(session.id).evolve(status=SessionStatus.IDLE).evidence is None


async def test_a_slow_plugin_does_not_delay_what_is_recorded(world: World) -> None:
    class Slow:
        @hookimpl
        async def frith_session_waiting(self) -> None:
            await Event().wait()

    async with manager(world, Slow(), hook_timeout=60) as m:
        session, watch = await watched(world, m)
        watch.find(ASKS)
        await until(lambda: world.stored(session.id).status is SessionStatus.WAITING)
        watch.find(WORKS)
        await until(lambda: world.stored(session.id).status is SessionStatus.ACTIVE)


async def test_a_watch_that_fails_is_logged_and_the_session_goes_on(
    world: World, logged: list[Any]
) -> None:
    async with manager(world) as m:
        session, watch = await watched(world, m)
        world.faults["transact"] = [RuntimeError("no store")]
        watch.find(ASKS)
        await until(lambda: [e for e in logged if e["event"] == "status_lost"])
        assert m.terminal(session.id).pid


@pytest.mark.requirement("R6.3")
async def test_a_status_provider_that_is_missing_refuses_a_process_and_leaves_nothing(
    world: World,
) -> None:
    async with manager(world, status="other") as m:
        with pytest.raises(ProviderNotFoundError):
            await m.create_session("one")
    assert world.nothing_left()


async def test_without_a_status_provider_only_reports_change_a_status(world: World) -> None:
    async with manager(world, status="none") as m:
        session = await m.create_session("one")
        assert session.status is SessionStatus.ACTIVE
        await m.update_session_status(session.id, SessionStatus.WAITING)
        assert world.watches == {}
        assert world.stored(session.id).status is SessionStatus.WAITING
