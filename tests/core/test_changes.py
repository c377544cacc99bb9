"""The stream of changes: whoever makes them, and however slowly they are read."""

from __future__ import annotations

from typing import Any

import pytest
from anyio import Event, create_task_group, fail_after, move_on_after, wait_all_tasks_blocked

from frith import (
    AllSessions,
    Capability,
    ChangeKind,
    ChangeReader,
    Cursor,
    Session,
    SessionChange,
    SessionStatus,
)
from frith._engine import readers
from frith.errors import StoreError
from frith.model import Evidence, Source, now
from frith.ports import Conclusion, Stuck
from waiting import until

from .managers import manager
from .world import World, a_session, as_running

CREATED, UPDATED, EXITED = ChangeKind.CREATED, ChangeKind.UPDATED, ChangeKind.EXITED
WAITING, STUCK, DESTROYED = ChangeKind.WAITING, ChangeKind.STUCK, ChangeKind.DESTROYED


@pytest.fixture
def one(world: World) -> Session:
    session = world.inhabit(a_session("one"))
    world.write(session)
    return session


async def read(changes: ChangeReader) -> AllSessions | SessionChange:
    """Return the next item."""
    with fail_after(10):
        return await anext(aiter(changes))


async def change(changes: ChangeReader) -> SessionChange:
    """Return the next item, a change."""
    item = await read(changes)
    assert isinstance(item, SessionChange)
    return item


async def pending(changes: ChangeReader) -> list[SessionChange]:
    """Return the changes that are there already."""
    found = []
    while changes.has_next:
        found.append(await change(changes))
    return found


@pytest.mark.requirement("R10.2")
async def test_all_sessions_come_first(world: World, one: Session) -> None:
    async with manager(world) as m, m.changes() as changes:
        item = await read(changes)
        assert isinstance(item, AllSessions)
        assert item.sessions == (m.get_session(one.id),)
        assert item.cursor == Cursor("fake", world.snapshot.revision)


@pytest.mark.requirement("R10.2")
@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_session_is_seen_from_its_creation_to_its_end(
    elsewhere: bool, world: World
) -> None:
    world.adoptable = True
    capabilities = [Capability.WATCH, Capability.ADOPT]
    async with (
        manager(world, capabilities=capabilities) as ours,
        manager(world, capabilities=capabilities) as theirs,
        (theirs if not elsewhere else ours).changes() as changes,
    ):
        actor = theirs
        await read(changes)

        async def seen(*kinds: ChangeKind) -> SessionChange:
            while True:
                found = await change(changes)
                if set(kinds) <= found.kinds:
                    return found

        session = await actor.create_session("one")
        created = await seen(CREATED)
        assert (created.before, created.session.id) == (None, session.id)
        watch = world.watches[session.id]
        watch.find(Conclusion(SessionStatus.WAITING, Source.SCREEN, message="Go on?"))
        waiting = await seen(WAITING)
        assert waiting.session.evidence is not None
        assert waiting.session.evidence.message == "Go on?"
        watch.find(Conclusion(SessionStatus.ACTIVE, Source.PROCESS))
        await seen(UPDATED)
        watch.find(Stuck(1800.0))
        await actor.save_sessions()
        await seen(STUCK)
        world.terminals[0].end(code=1)
        exited = await seen(EXITED)
        assert exited.session.status is SessionStatus.ERROR
        await actor.destroy_session(session.id)
        destroyed = await seen(DESTROYED)
        assert (destroyed.after, destroyed.session.id) == (None, session.id)


async def test_output_is_a_change_before_it_is_stored(world: World) -> None:
    async with manager(world) as m, m.changes() as changes:
        session = await m.create_session("one")
        (terminal,) = world.terminals
        await until(lambda: terminal.viewers and now() > session.last_activity)
        await read(changes)
        await pending(changes)
        writes = world.writes
        terminal.say(b"x")
        active = await change(changes)
        assert active.session.last_activity > session.last_activity
        assert world.writes == writes


async def test_a_session_that_writes_again_is_no_longer_stuck(world: World, hasty: None) -> None:
    async with manager(world) as m:
        session = await m.create_session("one")
        (terminal,) = world.terminals
        await until(lambda: terminal.viewers and session.id in world.watches)

        def stuck_since() -> Any:
            found = m.get_session(session.id)
            return found and found.details.stuck_since

        world.watches[session.id].find(Stuck(1800.0))
        await until(stuck_since)
        since = stuck_since()
        world.watches[session.id].find(Stuck(3600.0))
        await wait_all_tasks_blocked()
        assert stuck_since() == since
        terminal.say(b"x")
        await until(lambda: stuck_since() is None)


async def test_a_slow_reader_sees_each_session_once_as_it_is_by_now(
    world: World, one: Session
) -> None:
    async with manager(world) as m, m.changes() as changes:
        await read(changes)
        first = m.get_session(one.id)
        two = await m.create_session("two", start=False)
        for name in ("a", "b", "c"):
            await m.update_session(one.id, name=name)
            await m.update_session(two.id, name=f"{name}-two")
        found = [(each.before, each.after) for each in await pending(changes)]
        assert found == [(None, m.get_session(two.id)), (first, m.get_session(one.id))]


async def test_what_was_undone_before_it_was_read_is_no_change(world: World, one: Session) -> None:
    async with manager(world) as m, m.changes() as changes:
        await read(changes)
        await m.update_session(one.id, name="other")
        await m.update_session(one.id, name="one")
        two = await m.create_session("two", start=False)
        await m.destroy_session(two.id)
        assert await pending(changes) == []


async def test_changes_before_the_stream_was_opened_come_with_all_sessions(
    world: World, one: Session
) -> None:
    async with manager(world, restore=False) as m:
        world.write(one.evolve(name="renamed"))
        async with m.changes() as changes:
            item = await read(changes)
            assert isinstance(item, AllSessions)
            assert [session.name for session in item.sessions] == ["renamed"]


async def test_a_manager_that_does_not_restore_follows_the_changes_of_others(
    world: World, one: Session
) -> None:
    async with manager(world, restore=False) as m, m.changes() as changes:
        await read(changes)
        await until(lambda: world.watchers)
        world.write(one.evolve(name="renamed"))
        assert (await change(changes)).session.name == "renamed"


@pytest.mark.requirement("R10.2")
async def test_a_reader_goes_on_from_its_cursor(world: World, one: Session) -> None:
    async with manager(world) as m:
        async with m.changes() as changes:
            cursor = (await read(changes)).cursor
        before = m.get_session(one.id)
        await m.update_session(one.id, name="renamed")
        two = await m.create_session("two", start=False)
        async with m.changes(since=cursor) as changes:
            found = await pending(changes)
            assert [(each.before, each.after) for each in found] == [
                (before, m.get_session(one.id)),
                (None, m.get_session(two.id)),
            ]
            assert found[-1].cursor == Cursor(cursor.store, world.snapshot.revision)


async def test_a_cursor_is_behind_what_is_pending(world: World, one: Session) -> None:
    async with manager(world) as m:
        async with m.changes() as changes:
            await read(changes)
            await m.update_session(one.id, name="renamed")
            two = await m.create_session("two", start=False)
            cursor = (await change(changes)).cursor
        async with m.changes(since=cursor) as changes:
            assert two.id in [each.session.id for each in await pending(changes)]


async def test_a_session_that_was_read_after_the_cursor_and_destroyed_since_is_gone(
    world: World,
) -> None:
    async with manager(world) as m:
        async with m.changes() as changes:
            await read(changes)
            two = await m.create_session("two", start=False)
            await m.create_session("three", start=False)
            created = await change(changes)  # more is pending: the cursor is before it
            assert created.session.id == two.id
        await m.destroy_session(two.id)
        async with m.changes(since=created.cursor) as changes:
            gone = [each.session.id for each in await pending(changes) if each.after is None]
            assert gone == [two.id]


async def test_a_deferred_change_that_is_never_stored_is_taken_back(
    world: World, one: Session
) -> None:
    async with manager(world) as m, m.changes() as changes:
        await read(changes)
        ledger = m._engine.ledger
        ledger.defer(one.id, "phase", lambda s: s.evolve(current_phase="x"))
        assert (await change(changes)).session.current_phase == "x"
        ledger.deferred.cancel((one.id, "phase"))  # as when its claim is lost
        await m.load_sessions()
        assert (await change(changes)).session.current_phase is None


async def test_a_change_that_was_taken_back_after_the_cursor_comes_again(
    world: World, one: Session
) -> None:
    async with manager(world) as m:
        ledger = m._engine.ledger
        async with m.changes() as changes:
            await read(changes)
            ledger.defer(one.id, "phase", lambda s: s.evolve(current_phase="x"))
            cursor = (await change(changes)).cursor
        ledger.deferred.cancel((one.id, "phase"))
        await m.load_sessions()
        async with m.changes(since=cursor) as changes:
            assert (await change(changes)).session.current_phase is None


async def test_a_change_that_is_not_stored_yet_is_not_missed_after_a_cursor(
    world: World, one: Session
) -> None:
    async with manager(world) as m:
        async with m.changes() as changes:
            cursor = (await read(changes)).cursor
        m._engine.ledger.defer(one.id, "phase", lambda s: s.evolve(current_phase="x"))
        async with m.changes(since=cursor) as changes:
            assert (await change(changes)).session.current_phase == "x"


@pytest.mark.parametrize(
    "cursor",
    [Cursor("another", 1), Cursor("fake", 0), Cursor("fake", 10**9)],
    ids=["another store", "too old", "of a store that was replaced"],
)
async def test_a_reader_whose_cursor_is_unknown_gets_all_sessions(
    cursor: Cursor, world: World, one: Session
) -> None:
    async with manager(world) as m, m.changes(since=cursor) as changes:
        assert isinstance(await read(changes), AllSessions)


async def test_only_so_many_changes_are_remembered(
    world: World, one: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "REMEMBERED", 2)
    async with manager(world) as m, m.changes() as changes:
        cursors = [(await read(changes)).cursor]
        for name in ("a", "b", "c"):
            await m.update_session(one.id, name=name)
            cursors.append((await change(changes)).cursor)
        for cursor, remembered in zip(cursors, (False, True, True, True), strict=True):
            async with m.changes(since=cursor) as again:
                assert (again.has_next and isinstance(await read(again), AllSessions)) is (
                    not remembered
                )


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (None, "Go on?", True),
        ("Go on?", "Delete it?", True),
        ("Go on?", "Go on?", False),
        ("Go on?", None, False),
    ],
)
def test_a_session_that_asks_anew_is_waiting_again(
    before: str | None, after: str | None, news: bool
) -> None:
    session = as_running(a_session("one"))
    states = [
        session.conclude(SessionStatus.WAITING, Source.SCREEN, message=message)
        for message in (before, after)
    ]
    if before is None:
        states[0] = session
    since = states[0].details.evidence
    if before is not None and since is not None:
        states[1] = states[1].detail(
            evidence=Evidence(
                status=SessionStatus.WAITING,
                source=Source.SCREEN,
                message=after,
                since=since.since,
            )
        )
    seen = SessionChange(states[0], states[1], Cursor("s", 1))
    assert (WAITING in seen.kinds) is news


def test_a_process_that_was_replaced_has_exited() -> None:
    before, after = as_running(a_session("one")), as_running(a_session("one"), pid=2)
    seen = SessionChange(before, after.evolve(id=before.id), Cursor("s", 1))
    assert seen.kinds == {UPDATED, EXITED}


async def test_the_stream_ends_with_the_manager_after_the_last_change(world: World) -> None:
    seen: list[Any] = []

    async def follow() -> None:
        async with m.changes() as changes:
            opened.set()
            seen.extend([item async for item in changes])

    opened = Event()
    async with create_task_group() as tasks, manager(world) as m:
        session = await m.create_session("one")
        tasks.start_soon(follow)
        await opened.wait()
    assert seen[-1].session == world.stored(session.id)
    assert EXITED in seen[-1].kinds


async def test_a_cancelled_reader_misses_nothing(world: World, one: Session) -> None:
    async with manager(world) as m, m.changes() as changes:
        await read(changes)
        with move_on_after(0):
            await anext(aiter(changes))
        await m.update_session(one.id, name="renamed")
        with move_on_after(0):
            await anext(aiter(changes))
        assert (await change(changes)).session.name == "renamed"


async def test_a_store_that_cannot_be_read_is_an_error(world: World, one: Session) -> None:
    async with manager(world) as m:
        world.faults["load"] = [StoreError("unreadable")]
        with pytest.raises(StoreError, match="unreadable"):
            async with m.changes():
                pass
        assert not m._engine.ledger.readers._readers


async def test_a_reader_that_leaves_is_forgotten(world: World) -> None:
    async with manager(world) as m:
        async with m.changes():
            assert m._engine.ledger.readers._readers
        assert not m._engine.ledger.readers._readers


async def test_a_store_that_was_replaced_by_an_older_one_is_a_change(
    world: World, one: Session
) -> None:
    async with manager(world) as m, m.changes() as changes:
        cursor = (await read(changes)).cursor
        await until(lambda: world.watchers)
        older = world.snapshot
        await m.update_session(one.id, name="renamed")
        renamed = await change(changes)
        world.put(older)
        assert (await change(changes)).before == renamed.after
        async with m.changes(since=renamed.cursor) as again:
            assert isinstance(await read(again), AllSessions)
        async with m.changes(since=cursor) as again:
            assert not again.has_next
