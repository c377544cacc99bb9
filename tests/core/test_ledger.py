"""The ledger: answers from memory, group commits, and changes of the newest stored state only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from anyio import CancelScope, Event, create_task_group, sleep_forever
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from frith import Capability
from frith._engine.claims import HeldClaim
from frith._engine.ledger import Ledger, StoreVanishedError
from frith._engine.open_providers import Providers
from frith._engine.pending import Batch, Pending
from frith._engine.reactions import Reactions
from frith._engine.tasks import Tasks
from frith.errors import (
    ClaimDoubtfulError,
    CommitOutcomeUnknownError,
    CorruptStoreError,
    ManagerClosedError,
    ProviderFailedError,
    SessionNotFoundError,
    StoreError,
)
from frith.model import (
    HOSTS_REMEMBERED,
    Changes,
    Commit,
    Integrity,
    Session,
    SessionStatus,
    Snapshot,
)
from frith.plugins import Plugins
from frith.ports import Claim
from frith.providers import Role
from waiting import until

from .managers import FakePlugin, configuration
from .world import World, a_reservation, a_session

Fault = StoreError("disk full")


class Heard(Reactions):
    """Keeps what the ledger reports; rebuilds the store by ``repair``, if that is given."""

    def __init__(self) -> None:
        self.elsewhere: list[tuple[Session | None, Session | None]] = []
        self.stored: list[str] = []
        self.doubted: list[Snapshot] = []
        self.causes: list[StoreError] = []
        self.repair: Callable[[], object] | None = None
        self.world = World()

    async def rebuild(self, cause: StoreError) -> Snapshot:
        self.causes.append(cause)
        if self.repair is None:
            raise cause
        self.repair()
        return self.world.snapshot

    def state_doubted(self, snapshot: Snapshot) -> None:
        self.doubted.append(snapshot)

    def session_changed(self, before: Session | None, after: Session | None) -> None:
        self.elsewhere.append((before, after))

    def session_stored(self, session_id: str) -> None:
        self.stored.append(session_id)

    def claim_lost(self, claim: HeldClaim) -> None:
        raise NotImplementedError


@asynccontextmanager
async def opened(
    world: World,
    heard: Heard | None = None,
    *,
    repair: Callable[[], object] | None = None,
    watch: bool = True,
    writer: CancelScope | None = None,
) -> AsyncIterator[Ledger]:
    heard = heard or Heard()
    heard.world, heard.repair = world, repair

    async def write() -> None:
        with writer or CancelScope():
            await ledger.run()

    plugins = Plugins()
    plugins.add("fakes", FakePlugin(world, [Capability.WATCH] if watch else []))
    async with create_task_group() as tasks:
        background = Tasks(tasks)
        providers = Providers(background, configuration(), plugins)
        ledger = Ledger(providers, heard)
        tasks.start_soon(write)
        try:
            await ledger.load()
            yield ledger
        finally:
            tasks.cancel_scope.cancel()
            await background.cancel()


@pytest.fixture
def one(world: World) -> Session:
    """A stored session."""
    session = a_session("one", metadata={"n": 0})
    world.write(session)
    return session


def count(session: Session) -> Session:
    assert session.metadata is not None
    number = session.metadata["n"]
    assert isinstance(number, int)
    return session.evolve(metadata={"n": number + 1})


def put(*sessions: Session) -> Callable[[Snapshot], Changes]:
    return lambda _: Changes(put=sessions)


async def everywhere(*functions: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run all at once."""
    async with create_task_group() as tasks:
        for function in functions:
            tasks.start_soon(function)


@pytest.mark.requirement("R3.5")
async def test_a_hundred_concurrent_changes_of_one_session_cost_three_writes_at_most(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        await everywhere(*[lambda: ledger.amend(one.id, count)] * 100)
        assert world.writes <= 3
        assert world.stored(one.id).metadata == {"n": 100}
        assert ledger.get(one.id) == world.stored(one.id)


class Unlisted(dict[str, Session]):
    """Sessions that can be looked up, and not be listed."""

    def _refuse(self, *_: object) -> Any:
        raise AssertionError("a change costs what it changes, not what is stored")

    __iter__ = keys = values = items = copy = _refuse


async def test_a_change_looks_at_no_session_but_the_one_that_it_changes(
    world: World, one: Session
) -> None:
    world.snapshot = Snapshot(Unlisted({one.id: one, "other": a_session("other")}), revision=1)
    heard = Heard()
    async with opened(world, heard) as ledger:
        await ledger.amend(one.id, count)
        ledger.defer(one.id, "name", lambda s: s.evolve(name="later"))
        await ledger.flush()
        assert ledger.get(one.id) == world.stored(one.id)
        assert world.stored(one.id).metadata == {"n": 1}
        await ledger.drop(one.id)
        assert ledger.get(one.id) is None
        assert heard.elsewhere == []


@pytest.mark.requirement("R3.5")
async def test_a_change_is_stored_when_its_caller_goes_on(world: World, one: Session) -> None:
    async with opened(world) as ledger:
        changed = await ledger.amend(one.id, count)
        assert world.stored(one.id) == changed


@pytest.mark.requirement("R3.7")
async def test_a_change_starts_from_what_is_stored_not_from_what_is_remembered(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        world.write(one.evolve(name="renamed", metadata={"n": 41}))
        changed = await ledger.amend(one.id, count)
        assert (changed.name, changed.metadata) == ("renamed", {"n": 42})


async def test_a_change_that_changes_nothing_writes_nothing(world: World, one: Session) -> None:
    async with opened(world) as ledger:
        assert await ledger.amend(one.id, lambda session: session) == one
        await ledger.flush()
        assert world.writes == 0


async def test_a_change_that_raises_affects_only_its_caller(world: World, one: Session) -> None:
    outcomes: list[object] = []

    async def bad() -> None:
        def fn(_: Snapshot) -> Changes:
            raise KeyError("mine")

        with pytest.raises(KeyError) as raised:
            await ledger.change(fn)
        outcomes.append(raised.value)

    async with opened(world) as ledger:
        await everywhere(lambda: ledger.amend(one.id, count), bad, lambda: ledger.drop("none"))
        assert len(outcomes) == 1
        assert world.stored(one.id).metadata == {"n": 1}


async def test_changes_of_one_group_see_what_those_before_them_did(world: World) -> None:
    seen: list[int] = []

    def adding(session: Session) -> Callable[[], Coroutine[Any, Any, object]]:
        def fn(snapshot: Snapshot) -> Changes:
            seen.append(len(snapshot.sessions) + len(snapshot.reservations))
            return Changes(put=(session,), reserve=(a_reservation(session),))

        return lambda: ledger.change(fn)

    async with opened(world) as ledger:
        await everywhere(*(adding(a_session(f"one-{number}")) for number in range(3)))
        assert seen == [0, 2, 4]
        assert world.writes == 1


async def test_in_a_group_the_last_change_of_a_session_counts(world: World) -> None:
    two, place = a_session("two"), a_reservation(a_session("three"))
    steps = [
        Changes(put=(two,), reserve=(place,)),
        Changes(delete=frozenset({two.id}), release=frozenset({place.id})),
        Changes(put=(two,)),
    ]
    pending = (Pending(lambda _, changes=changes: changes) for changes in steps)  # type: ignore[misc]
    batch = Batch(pending, Commit("host", "id"))
    total = batch(world.snapshot)
    assert total.put == (two,)
    assert not total.delete
    assert not total.reserve
    assert total.release == {place.id}


PLACES = tuple(a_session(name) for name in ("one", "two", "three"))
SOME_PLACES = st.frozensets(st.sampled_from(range(len(PLACES))))


@given(st.lists(st.tuples(SOME_PLACES, SOME_PLACES, SOME_PLACES, SOME_PLACES), max_size=6))
def test_a_group_of_changes_has_the_effect_of_its_changes_one_after_another(
    steps: list[tuple[frozenset[int], ...]],
) -> None:
    def change(number: int, *places: frozenset[int]) -> Changes:
        put, delete, reserve, release = (tuple(PLACES[n] for n in some) for some in places)
        return Changes(
            put=tuple(session.evolve(metadata={"step": number}) for session in put),
            delete=frozenset(session.id for session in delete),
            reserve=tuple(a_reservation(session) for session in reserve),
            release=frozenset(session.id for session in release),
        )

    changes = [change(number, *places) for number, places in enumerate(steps)]
    found = Changes(put=PLACES[:2], reserve=(a_reservation(PLACES[2]),)).apply(Snapshot())
    one_by_one = found
    for each in changes:
        one_by_one = each.apply(one_by_one)
    pending = [Pending(lambda _, each=each: each) for each in changes]  # type: ignore[misc]
    batch = Batch(pending, Commit("host", "id"))
    together = batch(found).apply(found)
    assert together.sessions == one_by_one.sessions
    assert together.reservations == one_by_one.reservations
    assert batch.found == found.sessions


@pytest.mark.requirement("R3.6")
async def test_a_failed_write_raises_changes_nothing_and_the_next_may_succeed(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        world.faults["write"] = [Fault]
        with pytest.raises(StoreError, match="disk full"):
            await ledger.amend(one.id, count)
        assert ledger.get(one.id) == one == world.stored(one.id)
        assert (await ledger.amend(one.id, count)).metadata == {"n": 1}


@pytest.mark.requirement("R3.6")
async def test_a_failed_write_fails_every_change_of_its_group(world: World, one: Session) -> None:
    failed: list[bool] = []

    async def change() -> None:
        with pytest.raises(StoreError):
            await ledger.amend(one.id, count)
        failed.append(True)

    async with opened(world) as ledger:
        world.faults["write"] = [Fault]
        await everywhere(change, change, change)
        assert len(failed) == 3


async def test_an_outcome_unknown_that_was_stored_is_found_stored_and_not_done_twice(
    world: World, one: Session, logged: list[Any]
) -> None:
    async with opened(world) as ledger:
        world.faults["written"] = [CommitOutcomeUnknownError("fsync failed")]
        changed = await ledger.amend(one.id, count)
        assert changed.metadata == world.stored(one.id).metadata == {"n": 1}
        assert ledger.get(one.id) == changed
    assert [entry["event"] for entry in logged] == ["commit_outcome_unknown"]


async def test_an_outcome_unknown_that_was_not_stored_is_done_again(
    world: World, one: Session, logged: list[Any]
) -> None:
    async with opened(world) as ledger:
        world.faults["write"] = [CommitOutcomeUnknownError("fsync failed")]
        changed = await ledger.amend(one.id, count)
        assert changed.metadata == world.stored(one.id).metadata == {"n": 1}


@pytest.mark.parametrize("kind", ["put", "delete", "reserve", "release"])
async def test_every_kind_of_change_is_recognised_as_stored(
    kind: str, world: World, one: Session, logged: list[Any]
) -> None:
    place = a_reservation(a_session("two"))
    world.reserve(place)
    times: list[Snapshot] = []
    changes = {
        "put": Changes(put=(one.evolve(name="x"),)),
        "delete": Changes(delete=frozenset({one.id})),
        "reserve": Changes(reserve=(a_reservation(a_session("three")),)),
        "release": Changes(release=frozenset({place.id})),
    }[kind]

    def fn(snapshot: Snapshot) -> Changes:
        times.append(snapshot)
        return changes

    async with opened(world) as ledger:
        world.faults["written"] = [CommitOutcomeUnknownError("fsync failed")]
        await ledger.change(fn)
        assert len(times) == 1
        world.faults["write"] = [CommitOutcomeUnknownError("fsync failed")]
        await ledger.change(lambda _: Changes(put=(a_session("four"),)))
    assert len(logged) == 2


async def test_an_outcome_that_stays_unknown_is_an_error(
    world: World, one: Session, logged: list[Any]
) -> None:
    async with opened(world) as ledger:
        world.faults["write"] = [CommitOutcomeUnknownError(str(n)) for n in range(4)]
        with pytest.raises(CommitOutcomeUnknownError, match="0"):
            await ledger.amend(one.id, count)
        assert (await ledger.amend(one.id, count)).metadata == {"n": 1}


@pytest.mark.parametrize("failures", [3, 2])
async def test_while_the_store_is_away_an_unknown_outcome_is_asked_for_a_bounded_number_of_times(
    failures: int, world: World, one: Session, logged: list[Any]
) -> None:
    async with opened(world) as ledger:
        world.faults["written"] = [CommitOutcomeUnknownError("connection lost")]
        world.faults["transact"] = [None, *[StoreError("connection refused")] * failures]
        if failures == 3:
            with pytest.raises(CommitOutcomeUnknownError, match="connection lost"):
                await ledger.amend(one.id, count)
        else:
            assert (await ledger.amend(one.id, count)).metadata == {"n": 1}
        assert world.stored(one.id).metadata == {"n": 1}


async def test_a_store_that_vanishes_while_the_outcome_of_a_commit_is_unknown_is_not_written(
    world: World, one: Session
) -> None:
    async def vanish() -> None:
        world.vanish()

    async def nothing() -> None:
        pass

    async with opened(world) as ledger:
        world.faults["written"] = [CommitOutcomeUnknownError("?")]
        world.meanwhile["transact"] = [nothing, vanish]
        with pytest.raises(CommitOutcomeUnknownError):
            await ledger.amend(one.id, count)
        assert world.sessions() == []


async def test_a_deferred_change_is_stored_before_what_is_changed_later(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        ledger.defer(one.id, "process", lambda s: s.evolve(current_phase="deferred"))
        await ledger.amend(one.id, lambda s: s.evolve(current_phase="later"))
        assert world.stored(one.id).current_phase == "later"


async def test_a_deferred_change_that_is_cancelled_during_its_commit_is_not_deferred_again(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        ledger.defer(one.id, "process", lambda s: s.evolve(current_phase="deferred"))

        async def cancel() -> None:
            ledger.deferred.cancel((one.id, "process"))

        world.meanwhile["transact"] = [cancel]
        world.faults["write"] = [Fault]
        with pytest.raises(StoreError):
            await ledger.flush()
        await ledger.amend(one.id, count)
        assert world.stored(one.id).current_phase is None


@pytest.mark.parametrize("theirs", ["changed", "deleted"])
async def test_what_others_made_of_a_commit_of_unknown_outcome_stays(
    theirs: str, world: World, one: Session, logged: list[Any]
) -> None:
    heard = Heard()

    async def change() -> None:
        newest = world.stored(one.id)
        world.write(*([] if theirs == "deleted" else [newest.evolve(name="theirs")]))

    async def nothing() -> None:
        pass

    async with opened(world, heard) as ledger:
        world.faults["written"] = [CommitOutcomeUnknownError("fsync failed")]
        world.meanwhile["transact"] = [nothing, change]
        await ledger.amend(one.id, count)
        if theirs == "deleted":
            assert world.sessions() == []
            assert ledger.get(one.id) is None
        else:
            stored = world.stored(one.id)
            assert (stored.name, stored.metadata) == ("theirs", {"n": 1})
            assert ledger.get(one.id) == stored
        assert len(heard.elsewhere) == 1


async def test_of_many_hosts_the_last_commits_are_remembered(world: World, one: Session) -> None:
    snapshot = world.snapshot
    for number in range(2 * HOSTS_REMEMBERED):
        change = Changes(put=(one,), commit=Commit(f"host {number % 70}", f"commit {number}"))
        snapshot = change.apply(snapshot)
    assert len(snapshot.commits) == HOSTS_REMEMBERED
    assert list(snapshot.commits.values())[-1] == f"commit {2 * HOSTS_REMEMBERED - 1}"


async def test_a_look_up_does_not_touch_the_store(world: World, one: Session) -> None:
    async with opened(world) as ledger:
        world.calls.clear()
        assert ledger.get(one.id) == one
        assert ledger.all() == (one,)
        assert await ledger.need(one.id) == one
        assert world.calls == []


async def test_before_no_such_session_is_said_the_store_is_looked_at_again(world: World) -> None:
    two = a_session("two")
    async with opened(world) as ledger:
        world.write(two)
        assert await ledger.need(two.id) == two
        with pytest.raises(SessionNotFoundError) as missing:
            await ledger.need("nobody")
        assert missing.value.session_id == "nobody"
        with pytest.raises(SessionNotFoundError):
            await ledger.amend("nobody", count)


async def test_what_is_dropped_is_gone_and_dropping_it_again_is_not_an_error(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        await ledger.drop(one.id)
        assert world.sessions() == []
        assert ledger.get(one.id) is None
        await ledger.drop(one.id)
        assert world.writes == 1


@pytest.mark.requirement("R3.5")
async def test_a_deferred_change_is_seen_at_once_and_stored_soon(
    world: World, one: Session, hasty: None
) -> None:
    heard = Heard()
    async with opened(world, heard) as ledger:
        for _ in range(3):
            ledger.defer(one.id, "name", lambda s: s.evolve(name="deferred"))
        assert ledger.all()[0].name == "deferred"
        assert world.stored(one.id).name == "one"
        await until(lambda: heard.stored)
        assert world.stored(one.id).name == "deferred"
        assert world.writes == 1
        assert heard.stored == [one.id]


@pytest.mark.requirement("R3.5")
async def test_a_deferred_change_goes_with_the_next_commit(world: World, one: Session) -> None:
    async with opened(world) as ledger:
        ledger.defer(one.id, "name", lambda s: s.evolve(name="deferred"))
        ledger.defer(one.id, "phase", lambda s: s.evolve(current_phase="x"))
        await ledger.amend(one.id, count)
        stored = world.stored(one.id)
        assert (stored.name, stored.current_phase, stored.metadata) == ("deferred", "x", {"n": 1})
        assert world.writes == 1


@pytest.mark.requirement("R3.5")
async def test_a_deferred_change_after_a_commit_is_stored_soon_too(
    world: World, one: Session, hasty: None
) -> None:
    async with opened(world) as ledger:
        for name in ("first", "second"):
            await ledger.amend(one.id, count)
            ledger.defer(one.id, "name", lambda s, name=name: s.evolve(name=name))  # type: ignore[misc]
            await until(lambda name=name: world.stored(one.id).name == name)  # type: ignore[misc]


async def test_a_deferred_change_survives_a_failed_flush(
    world: World, one: Session, hasty: None, logged: list[Any]
) -> None:
    heard = Heard()
    async with opened(world, heard) as ledger:
        world.faults["write"] = [Fault, Fault]
        ledger.defer(one.id, "name", lambda s: s.evolve(name="deferred"))
        await until(lambda: heard.stored)
        assert world.stored(one.id).name == "deferred"
    assert [entry["event"] for entry in logged] == ["flush_failed", "flush_failed"]


async def test_a_deferred_change_survives_a_failing_commit_and_a_newer_one_of_its_kind_wins(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        ledger.defer(one.id, "name", lambda s: s.evolve(name="older"))

        async def owe_more() -> None:
            ledger.defer(one.id, "name", lambda s: s.evolve(name="newer"))

        world.meanwhile["transact"] = [owe_more]
        world.faults["write"] = [Fault]
        with pytest.raises(StoreError):
            await ledger.flush()
        await ledger.flush()
        assert world.stored(one.id).name == "newer"


async def test_a_deferred_change_that_a_successful_commit_refuses_stays_deferred(
    world: World, one: Session
) -> None:
    heard = Heard()
    claim = Claim(one.id, 1, is_doubtful=True)
    async with opened(world, heard) as ledger:
        owned = HeldClaim(one.id, _claim=claim)
        ledger.defer(one.id, "name", lambda s: s.evolve(name="deferred"), claim=owned)
        await ledger.amend(one.id, count)
        assert world.stored(one.id).metadata == {"n": 1}
        assert heard.stored == []
        claim.is_doubtful = False
        await ledger.flush()
        assert world.stored(one.id).name == "deferred"
        assert heard.stored == [one.id]


async def test_a_flush_raises_the_reason_why_a_deferred_change_is_refused(
    world: World, one: Session
) -> None:
    claim = Claim(one.id, 1, is_doubtful=True)
    async with opened(world) as ledger:
        owned = HeldClaim(one.id, _claim=claim)
        ledger.defer(one.id, "name", lambda s: s.evolve(name="deferred"), claim=owned)
        with pytest.raises(ClaimDoubtfulError):
            await ledger.flush()
        found = ledger.get(one.id)
        assert found is not None
        assert (found.name, world.stored(one.id).name) == ("deferred", "one")
        claim.is_doubtful = False
        await ledger.flush()
        assert world.stored(one.id).name == "deferred"


async def test_a_deferred_change_is_not_lost_from_memory_by_a_refresh(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        ledger.defer(one.id, "name", lambda s: s.evolve(name="deferred"))
        world.write(one.evolve(current_phase="theirs"))
        await ledger.refresh()
        session = ledger.all()[0]
        assert (session.name, session.current_phase) == ("deferred", "theirs")


async def test_no_change_is_deferred_for_a_session_that_is_gone(world: World, one: Session) -> None:
    async with opened(world) as ledger:
        ledger.defer("nobody", "name", lambda s: s.evolve(name="deferred"))
        ledger.defer(one.id, "name", lambda s: s.evolve(name="deferred"))
        world.write()
        await ledger.flush()
        assert world.sessions() == []
        assert world.writes == 0


async def test_a_store_provider_that_fails_does_not_take_the_writer_down(
    world: World, one: Session, hasty: None, logged: list[Any]
) -> None:
    async with opened(world) as ledger:
        world.collapses[Role.STORE].set()
        ledger.defer(one.id, "name", lambda s: s.evolve(name="deferred"))
        await until(lambda: [e for e in logged if e["event"] == "flush_failed"])
        with pytest.raises(ProviderFailedError):
            await ledger.amend(one.id, count)
        assert ledger.all()[0].name == "deferred"


async def test_a_store_that_raises_what_it_should_not_does_not_take_the_writer_down(
    world: World, one: Session, hasty: None, logged: list[Any]
) -> None:
    heard = Heard()
    async with opened(world, heard) as ledger:
        world.faults["write"] = [RuntimeError("a bug")]
        ledger.defer(one.id, "name", lambda s: s.evolve(name="deferred"))
        await until(lambda: heard.stored)
    assert "a bug" in logged[0]["reason"]


async def test_a_caller_that_is_cancelled_before_its_commit_begins_changes_nothing(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        begun, released = Event(), Event()

        async def hold() -> None:
            begun.set()
            await released.wait()

        world.meanwhile["transact"] = [hold]
        async with create_task_group() as tasks:
            tasks.start_soon(ledger.amend, one.id, lambda s: s.evolve(name="first"))
            await begun.wait()
            with CancelScope() as scope:
                scope.cancel()
                await ledger.amend(one.id, count)
            released.set()
        await ledger.flush()
        assert (world.stored(one.id).name, world.stored(one.id).metadata) == ("first", {"n": 0})


async def test_a_commit_that_has_begun_is_finished_when_the_writer_ends_and_no_other_begins(
    world: World, one: Session
) -> None:
    begun, released, writer = Event(), Event(), CancelScope()

    async def hold() -> None:
        begun.set()
        await released.wait()

    async def in_time() -> None:
        assert (await ledger.amend(one.id, count)).metadata == {"n": 1}

    async def too_late() -> None:
        with pytest.raises(ManagerClosedError):
            await ledger.amend(one.id, count)

    async with opened(world, writer=writer) as ledger:
        world.meanwhile["transact"] = [hold]
        async with create_task_group() as callers:
            callers.start_soon(in_time)
            await begun.wait()
            callers.start_soon(too_late)
            await checkpoint()
            writer.cancel()
            released.set()
        await too_late()
        assert world.stored(one.id).metadata == {"n": 1}


async def test_a_change_by_another_process_is_reported_once_and_one_of_this_process_is_not(
    world: World, one: Session
) -> None:
    heard = Heard()
    async with opened(world, heard) as ledger:
        await ledger.amend(one.id, count)
        assert heard.elsewhere == []
        ours, two = world.stored(one.id), a_session("two")
        world.write(ours, two)
        await ledger.refresh()
        await ledger.refresh()
        assert heard.elsewhere == [(None, two)]
        world.write(two.evolve(name="three"))
        await ledger.amend(two.id, lambda s: s.evolve(current_phase="x"))
        assert (ours, None) in heard.elsewhere


@pytest.mark.requirement("R3.7")
@pytest.mark.parametrize("watch", [True, False])
async def test_what_another_changes_is_followed(
    watch: bool, world: World, one: Session, hasty: None
) -> None:
    async with opened(world, watch=watch) as ledger, create_task_group() as tasks:
        tasks.start_soon(ledger.follow)
        if watch:
            await until(lambda: world.watchers)
        for name in ("second", "third"):
            world.write(one.evolve(name=name))
            await until(lambda name=name: ledger.all()[0].name == name)  # type: ignore[misc]
        tasks.cancel_scope.cancel()


async def test_a_store_without_watch_is_not_watched(
    world: World, one: Session, hasty: None
) -> None:
    async with opened(world, watch=False) as ledger, create_task_group() as tasks:
        tasks.start_soon(ledger.follow)
        await until(lambda: world.loads > 2)
        assert world.watchers == []
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("fault", [Fault, RuntimeError("a bug")])
async def test_following_goes_on_when_looking_fails(
    fault: Exception, world: World, one: Session, hasty: None, logged: list[Any]
) -> None:
    async with opened(world, watch=False) as ledger, create_task_group() as tasks:
        world.faults["load"] = [fault]
        tasks.start_soon(ledger.follow)
        world.write(one.evolve(name="renamed"))
        await until(lambda: ledger.all()[0].name == "renamed")
        tasks.cancel_scope.cancel()
    assert logged[0]["event"] == "refresh_failed"


async def test_a_follower_cancelled_while_it_looks_leaves_no_watch_behind(
    world: World, one: Session
) -> None:
    looking = Event()

    async def hang() -> None:
        looking.set()
        await sleep_forever()

    async with opened(world) as ledger, create_task_group() as tasks:
        tasks.start_soon(ledger.follow)
        await until(lambda: world.watchers)
        world.meanwhile["load"] = [hang]
        world.write(one.evolve(name="renamed"))
        await looking.wait()
        tasks.cancel_scope.cancel()
    assert world.watchers == []


@pytest.mark.requirement("R5.1")
@pytest.mark.parametrize("act", ["refresh", "amend"])
async def test_a_store_that_vanishes_while_it_is_open_is_rebuilt_first(
    act: str, world: World, one: Session
) -> None:
    heard = Heard()
    async with opened(world, heard, repair=lambda: world.write(one)) as ledger:
        world.vanish()
        if act == "refresh":
            await ledger.refresh()
        else:
            await ledger.amend(one.id, count)
        assert [type(cause) for cause in heard.causes] == [StoreVanishedError]
        assert [session.id for session in world.sessions()] == [one.id]


@pytest.mark.requirement("R5.1")
@pytest.mark.parametrize("act", ["refresh", "amend"])
async def test_a_store_that_becomes_corrupt_while_it_is_open_is_rebuilt_first(
    act: str, world: World, one: Session
) -> None:
    heard = Heard()

    def repair() -> None:
        world.corrupt = None

    async with opened(world, heard, repair=repair) as ledger:
        corrupt = world.corrupt = CorruptStoreError("/f", "cut off", "token")
        if act == "refresh":
            await ledger.refresh()
        else:
            await ledger.amend(one.id, count)
        assert heard.causes == [corrupt]


async def test_a_repair_that_fails_reaches_the_caller_and_the_next_may_succeed(
    world: World, one: Session
) -> None:
    async with opened(world) as ledger:
        world.corrupt = CorruptStoreError("/f", "cut off", "token")
        with pytest.raises(CorruptStoreError):
            await ledger.amend(one.id, count)
        world.corrupt = None
        assert (await ledger.amend(one.id, count)).metadata == {"n": 1}


async def test_an_empty_store_that_was_always_empty_has_not_vanished(world: World) -> None:
    async with opened(world) as ledger:
        assert (await ledger.refresh()).integrity is Integrity.MISSING
        await ledger.change(put(a_session()))
        assert len(world.sessions()) == 1


@pytest.mark.requirement("R3.3")
@pytest.mark.parametrize("integrity", [Integrity.FOREIGN, Integrity.MISMATCH])
async def test_a_state_that_another_wrote_or_damaged_is_told_once(
    integrity: Integrity, world: World, one: Session
) -> None:
    heard = Heard()
    async with opened(world, heard) as ledger:
        world.write(one.evolve(status=SessionStatus.ERROR), integrity=integrity)
        for _ in range(3):
            await ledger.refresh()
        assert [snapshot.integrity for snapshot in heard.doubted] == [integrity]
