"""Read, change, write: in order, together, at most once, and only for who still waits."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import sys
import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from frith.errors import CommitOutcomeUnknownError, StoreBusyError
from frith.model import Changes, Integrity, Reservation, Snapshot, now
from frith_json import _files
from frith_json._entry import UnstorableError
from frith_json._jobs import Turn
from frith_json._locks import FileLock
from frith_json.options import JsonOptions
from frith_json.store import JsonStore
from waiting import PATIENCE


class Gate:
    """Stops the writing thread right before its rename until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()
        real = _files.rename

        def rename(source: str, target: str) -> None:
            self.reached.set()
            assert self._opened.wait(PATIENCE)
            real(source, target)

        monkeypatch.setattr(_files, "rename", rename)

    async def is_reached(self) -> None:
        assert await anyio.to_thread.run_sync(self.reached.wait, PATIENCE)

    def starts_the_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have no caller lose patience before it is reached."""
        real = Turn.wait

        async def wait(turn: Turn, within: float) -> None:
            await self.is_reached()
            await real(turn, within)

        monkeypatch.setattr(Turn, "wait", wait)

    def open(self) -> None:
        self._opened.set()


def nothing(_: Snapshot) -> Changes:
    return Changes()


async def test_a_transaction_is_stored_and_returned(open_store, make) -> None:
    session = make(metadata={"a": [1]}).detail(command=("sh", "-c", "x"))
    async with open_store() as store:
        committed = await store.transact(lambda _: Changes(put=(session,)))
    assert committed.revision == committed.snapshot.revision == 1
    assert committed.snapshot.integrity is Integrity.MISSING
    assert committed.snapshot.sessions == {session.id: session}
    async with open_store() as store:
        loaded = await store.load()
    assert loaded.sessions == {session.id: session}
    assert (loaded.revision, loaded.integrity) == (1, Integrity.VERIFIED)


async def test_revisions_grow_with_every_commit(open_store, make) -> None:
    async with open_store() as store, open_store() as other:
        revisions = [
            (await each.transact(lambda _: Changes(put=(make(),)))).revision
            for each in (store, other, store, store, other)
        ]
    assert revisions == [1, 2, 3, 4, 5]


async def test_empty_changes_are_not_written(open_store, state, make) -> None:
    async with open_store() as store:
        assert (await store.transact(nothing)).revision == 0
        assert not state.exists()
        await store.transact(lambda _: Changes(put=(make(),)))
        assert (await store.transact(nothing)).revision == 1
        assert store.stats.writes == 1


async def test_an_unchanged_file_is_never_parsed_again(open_store, make) -> None:
    async with open_store() as writer:
        await writer.transact(lambda _: Changes(put=(make(),)))
    async with open_store() as store:
        for _ in range(3):
            await store.load()
            await store.transact(nothing)
            await store.transact(lambda _: Changes(put=(make(),)))
        assert store.stats.parses == 1


async def test_a_file_that_another_process_changed_is_parsed_once(
    open_store, start_actor, make
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))
        start_actor("add", "theirs").communicate()
        for _ in range(3):
            assert len((await store.load()).sessions) == 2
        assert store.stats.parses == 1


async def test_what_a_transaction_raises_reaches_its_caller_alone(open_store, state, make) -> None:
    outcomes: list[Any] = []

    def refuse(_: Snapshot) -> Changes:
        raise LookupError("not that one")

    def put(_: Snapshot) -> Changes:
        return Changes(put=(make(),))

    async with open_store() as store:

        async def attempt(fn: Any) -> None:
            try:
                outcomes.append((await store.transact(fn)).revision)
            except LookupError as error:
                outcomes.append(str(error))

        async with anyio.create_task_group() as group:
            for fn in (put, refuse, put):
                group.start_soon(attempt, fn)
        assert store.stats.writes == 1
    assert sorted(outcomes, key=str) == [1, 2, "not that one"]


async def test_each_transaction_of_a_group_sees_the_one_before(open_store, make) -> None:
    session = make(metadata={"n": 0})
    seen: list[int] = []

    def increment(snapshot: Snapshot) -> Changes:
        now = snapshot.sessions[session.id]
        count = now.metadata["n"]
        seen.append(count)
        return Changes(put=(now.evolve(metadata={"n": count + 1}),))

    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(session,)))
        before = store.stats.writes
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(store.transact, increment)
        assert seen == list(range(100))
        assert store.stats.writes - before <= 3
        assert (await store.load()).revision == 101


async def test_callers_of_one_turn_of_the_loop_are_written_together(open_store, make) -> None:
    async with open_store() as store:

        async def change() -> None:
            idle = threading.Event()
            store._writer.submit(idle.set)
            assert idle.wait(PATIENCE)  # a hasty writer would have written alone by now
            await store.transact(lambda _: Changes(put=(make(),)))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(change)
    assert store.stats.writes == 1


@pytest.mark.requirement("R3.5")
async def test_callers_that_come_during_a_write_are_written_together(
    open_store, make, monkeypatch
) -> None:
    gate = Gate(monkeypatch)
    async with open_store() as store, anyio.create_task_group() as group:
        group.start_soon(store.transact, lambda _: Changes(put=(make(),)))
        await gate.is_reached()
        for _ in range(50):
            group.start_soon(store.transact, lambda _: Changes(put=(make(),)))
        await anyio.wait_all_tasks_blocked()
        gate.open()
    assert store.stats.writes == 2


@pytest.mark.expensive("starts several processes")
@pytest.mark.requirement("R3.7")
@pytest.mark.parametrize("times", [25])
def test_no_update_of_four_processes_is_lost(start_actor, workspace, make, times) -> None:
    session = make(metadata={"count": 0})

    async def prepare() -> None:
        async with JsonStore.opened(workspace, JsonOptions()) as store:
            await store.transact(lambda _: Changes(put=(session,)))

    async def count() -> Any:
        async with JsonStore.opened(workspace, JsonOptions()) as store:
            snapshot = await store.load()
            return snapshot.sessions[session.id].metadata["count"], snapshot.revision

    anyio.run(prepare)
    actors = [start_actor("increment", session.id, str(times), ready=False) for _ in range(4)]
    for actor in actors:
        actor.communicate()
        assert actor.returncode == 0
    assert anyio.run(count) == (4 * times, 4 * times + 1)


async def test_a_lock_that_is_not_to_be_had_is_an_error_and_changes_nothing(
    open_store, start_actor, state, make
) -> None:
    holder = start_actor("hold_lock")
    async with open_store(lock_timeout=0.05) as store:
        with pytest.raises(StoreBusyError, match="busy for 0.05 seconds") as caught:
            await store.transact(lambda _: Changes(put=(make("late"),)))
    if sys.platform == "linux":
        assert caught.value.holder.startswith(f"Process {holder.pid} (python")
        assert caught.value.holder in str(caught.value)
    holder.communicate("go\n")
    async with open_store() as store:
        assert (await store.load()).integrity is Integrity.MISSING
        await store.transact(nothing)
        assert not state.exists()


async def test_a_store_closed_while_it_waits_for_the_lock_ends_its_thread_and_restores_no_file(
    open_store, start_actor, workspace, monkeypatch
) -> None:
    holder = start_actor("hold_lock")
    asked = threading.Event()
    real = _files.lock

    def lock(fd: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX:
            asked.set()
        real(fd, operation)

    monkeypatch.setattr(_files, "lock", lock)
    async with open_store() as store:
        thread = store._writer._thread
        async with anyio.create_task_group() as group:
            group.start_soon(store.transact, nothing)
            assert await anyio.to_thread.run_sync(asked.wait, PATIENCE)
            group.cancel_scope.cancel()
    assert thread.is_alive()
    shutil.rmtree(workspace)
    holder.kill()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not workspace.exists()


def test_a_retired_lock_that_was_never_held_creates_no_file(workspace) -> None:
    path = workspace / "elsewhere" / "lock"
    lock = FileLock(str(path))
    lock.retire()
    with pytest.raises(FileNotFoundError):
        lock.acquire()
    assert not path.parent.exists()


async def test_the_deadline_holds_for_all_that_wait_when_one_is_cancelled(
    open_store, start_actor, make, monkeypatch
) -> None:
    start_actor("hold_lock")
    outcomes: list[str] = []
    scopes: dict[str | None, anyio.CancelScope] = {}
    minders: list[tuple[str | None, Turn]] = []
    real = Turn._mind_the_time

    async def mind_the_time(turn: Turn, within: float) -> None:
        minders.append((anyio.get_current_task().name, turn))
        await real(turn, within)

    monkeypatch.setattr(Turn, "_mind_the_time", mind_the_time)
    async with open_store(lock_timeout=100 * PATIENCE) as store:

        async def change(name: str) -> None:
            with anyio.CancelScope() as scopes[name]:
                try:
                    await store.transact(lambda _: Changes(put=(make(name),)))
                except StoreBusyError as error:
                    outcomes.append(error.code)

        async with anyio.create_task_group() as group:
            for name in ("one", "two", "three"):
                group.start_soon(change, name, name=name)
            await anyio.wait_all_tasks_blocked()
            [(minder, turn)] = minders
            turn._deadline = anyio.current_time()
            scopes[minder].cancel()
    assert outcomes == ["STORE_BUSY"] * 2


async def test_a_caller_cancelled_while_others_join_holds_nobody_up(open_store, make) -> None:
    names: list[str] = []
    async with open_store() as store:

        async def change(name: str) -> None:
            await store.transact(lambda _: Changes(put=(make(name),)))
            names.append(name)

        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                scope.cancel()
                group.start_soon(change, "joins")
                await change("is cancelled")
        await change("comes later")
    assert sorted(names) == ["comes later", "joins"]


def test_a_caller_that_asyncio_itself_cancels_holds_nobody_up(open_store, make) -> None:
    async def cancel_one() -> int:
        async with open_store() as store:
            put = Changes(put=(make(),))
            first, second = (asyncio.create_task(store.transact(lambda _: put)) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
            assert (await second).revision == 1
            assert isinstance(
                (await asyncio.gather(first, return_exceptions=True))[0], BaseException
            )
            return (await store.transact(lambda _: put)).revision

    assert asyncio.run(cancel_one()) == 2


async def test_reading_waits_for_no_writer(open_store, start_actor, make) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("one"),)))
        start_actor("hold_lock")
        async with open_store(lock_timeout=0.05) as other:
            with pytest.raises(StoreBusyError):
                await other.transact(nothing)
        async with open_store() as other:
            assert len((await other.load()).sessions) == 1


async def test_a_caller_cancelled_before_the_lock_was_had_changes_nothing(
    open_store, start_actor, state, make
) -> None:
    holder = start_actor("hold_lock")
    async with open_store() as store:
        async with anyio.create_task_group() as group:
            group.start_soon(store.transact, lambda _: Changes(put=(make("dropped"),)))
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        holder.communicate("go\n")
        committed = await store.transact(lambda _: Changes(put=(make("kept"),)))
    assert [s.name for s in committed.snapshot.sessions.values()] == ["kept"]


async def test_a_lock_killed_with_its_holder_is_free_at_once(open_store, start_actor, make) -> None:
    start_actor("hold_lock").kill()
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))


async def test_a_caller_cancelled_during_the_write_waits_until_it_is_decided(
    open_store, make, monkeypatch
) -> None:
    gate = Gate(monkeypatch)
    finished: list[str] = []
    async with open_store() as store:

        async def change() -> None:
            try:
                await store.transact(lambda _: Changes(put=(make("decided"),)))
            finally:
                finished.append("change")

        async with anyio.create_task_group() as group:
            group.start_soon(change)
            await gate.is_reached()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
                assert finished == []
                gate.open()
        assert finished == ["change"]
        loaded = await store.load()
        assert [s.name for s in loaded.sessions.values()] == ["decided"]


async def test_a_disk_that_does_not_answer_leaves_the_outcome_open(
    open_store, make, monkeypatch
) -> None:
    gate = Gate(monkeypatch)
    gate.starts_the_clock(monkeypatch)
    async with open_store(lock_timeout=0.05, write_timeout=0.05) as store:
        with pytest.raises(CommitOutcomeUnknownError, match="did not answer"):
            await store.transact(lambda _: Changes(put=(make(),)))
        gate.open()


async def test_a_slow_write_still_answers_after_the_lock_timeout(
    open_store, make, monkeypatch
) -> None:
    gate = Gate(monkeypatch)
    gate.starts_the_clock(monkeypatch)
    revisions: list[int] = []
    async with open_store(lock_timeout=0.05) as store:

        async def change() -> None:
            revisions.append((await store.transact(lambda _: Changes(put=(make(),)))).revision)

        async with anyio.create_task_group() as group:
            group.start_soon(change)
            await gate.is_reached()
            with pytest.raises(StoreBusyError):
                await store.transact(nothing)
            gate.open()
    assert revisions == [1]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"a": float("nan")}, "no number nan"),
        ({"a": float("inf")}, "no number inf"),
        ({"a": {1, 2}}, "set"),
        ({1: 2}, "keys"),
        ({"a": 10**5000}, "digits"),
    ],
)
async def test_what_json_cannot_hold_is_refused_for_its_caller(
    open_store, state, make, metadata, said
) -> None:
    bad = make().evolve(metadata=metadata)
    async with open_store() as store:
        with pytest.raises(UnstorableError, match=said) as caught:
            await store.transact(lambda _: Changes(put=(bad,)))
        assert caught.value.session_id == bad.id
        assert caught.value.code == "STORE_UNSTORABLE"
        assert not state.exists()


async def test_a_structure_without_end_is_refused(open_store, make) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    async with open_store() as store:
        with pytest.raises(UnstorableError):
            await store.transact(lambda _: Changes(put=(make().evolve(metadata=endless),)))


async def test_what_could_not_be_read_again_is_not_written(open_store, state, make) -> None:
    async with open_store() as store:
        with pytest.raises(UnstorableError):
            await store.transact(lambda _: Changes(put=(make().evolve(worktree_path=None),)))
    assert not state.exists()


async def test_a_lock_file_that_was_deleted_is_made_anew(open_store, workspace, make) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))
        (lock,) = (workspace / ".git" / "frith").glob("*.lock")
        lock.unlink()
        await store.transact(lambda _: Changes(put=(make(),)))
        assert lock.exists()


async def test_closing_waits_for_no_lock(open_store, start_actor) -> None:
    holder = start_actor("hold_lock")
    async with open_store(lock_timeout=0.01) as store:
        with pytest.raises(StoreBusyError):
            await store.transact(nothing)
    assert holder.poll() is None
    holder.communicate("go\n")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_caller_whose_loop_is_gone_holds_nobody_up(backend) -> None:
    turns: list[Turn] = []

    async def leave() -> None:
        turns.append(Turn())

    anyio.run(leave, backend=backend)
    turns[0].announce()


async def test_reservations_that_could_not_be_read_again_are_refused(open_store, make) -> None:
    reservation = Reservation(
        id=make().id, name="n", branch="b", worktree_path="/", creates_branch=True, created_at=now()
    ).model_copy(update={"base_oid": 7})
    async with open_store() as store:
        with pytest.raises(UnstorableError):
            await store.transact(lambda _: Changes(reserve=(reservation,)))
