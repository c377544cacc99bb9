"""Read, change, write: in order, together, at most once, and only for who still waits."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import anyio
import anyio.lowlevel
import pytest

from frith.errors import CommitOutcomeUnknownError, StoreBusyError, StoreError
from frith.model import Changes, Integrity, Reservation, Snapshot, now
from frith_json.codec import UnstorableError
from frith_json.integrity import read
from frith_json.worker import Job
from frith_os import atomic, locks
from frith_os.locks import FileLock
from state_files import MakeSession, OpenStore, StartActor
from waiting import PATIENCE


class Gate:
    """Stops the writing thread right before its rename until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()
        real = atomic.rename

        def rename(*words: Any) -> None:
            self.reached.set()
            assert self._opened.wait(PATIENCE)
            real(*words)

        monkeypatch.setattr(atomic, "rename", rename)

    async def is_reached(self) -> None:
        assert await anyio.to_thread.run_sync(self.reached.wait, PATIENCE)

    def starts_the_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have no caller lose patience before it is reached."""
        real = Job.outcome

        async def outcome(job: Job[Any], *words: Any) -> Any:
            await self.is_reached()
            return await real(job, *words)

        monkeypatch.setattr(Job, "outcome", outcome)

    def open(self) -> None:
        self._opened.set()


def nothing(_: Snapshot) -> Changes:
    return Changes()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Count how often a state file is parsed."""
    parsed = Mock(wraps=read)
    monkeypatch.setattr("frith_json.state.read", parsed)
    return parsed


async def test_an_unchanged_file_is_never_parsed_again(
    open_store: OpenStore, make: MakeSession, parsed: Mock
) -> None:
    async with open_store() as writer:
        await writer.transact(lambda _: Changes(put=(make(),)))
    async with open_store() as store:
        for _ in range(3):
            await store.load()
            await store.transact(nothing)
            await store.transact(lambda _: Changes(put=(make(),)))
        assert parsed.call_count == 1


async def test_a_file_that_another_process_changed_is_parsed_once(
    open_store: OpenStore, start_actor: StartActor, make: MakeSession, parsed: Mock
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))
        start_actor("add", "theirs").communicate()
        for _ in range(3):
            assert len((await store.load()).sessions) == 2
        assert parsed.call_count == 1


async def test_a_lock_that_is_held_too_long_is_an_error_that_names_the_holder(
    open_store: OpenStore, start_actor: StartActor, state: Path, make: MakeSession
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


async def test_a_lock_whose_file_cannot_be_looked_at_is_not_kept(
    open_store: OpenStore, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int, path: str) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    async with open_store() as store:
        with monkeypatch.context() as patch:
            patch.setattr(locks, "is_at", broken)
            with pytest.raises(StoreError, match="Cannot lock"):
                await store.transact(nothing)
        other = FileLock(store.state.lock.path)
        assert other.try_acquire()
        other.close()
        await store.transact(lambda _: Changes(put=(make(),)))


async def test_the_thread_of_a_closed_store_that_waited_for_the_lock_ends_and_creates_no_file(
    open_store: OpenStore, start_actor: StartActor, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = start_actor("hold_lock")
    asked = threading.Event()
    real = fcntl.flock

    def lock(fd: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX:
            asked.set()
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", lock)
    async with open_store() as store:
        thread = store._writer.thread
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


async def test_a_caller_cancelled_during_the_write_waits_until_it_is_decided(
    open_store: OpenStore, make: MakeSession, monkeypatch: pytest.MonkeyPatch
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


async def test_a_disk_that_does_not_answer_leaves_the_outcome_unknown(
    open_store: OpenStore, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    gate.starts_the_clock(monkeypatch)
    async with open_store(lock_timeout=0.05, write_timeout=0.05) as store:
        with pytest.raises(CommitOutcomeUnknownError, match="did not answer"):
            await store.transact(lambda _: Changes(put=(make(),)))
        gate.open()


async def test_a_slow_write_still_answers_after_the_lock_timeout(
    open_store: OpenStore, make: MakeSession, monkeypatch: pytest.MonkeyPatch
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
async def test_a_value_that_json_cannot_hold_is_refused(
    open_store: OpenStore, state: Path, make: MakeSession, metadata: Any, said: str
) -> None:
    bad = make().evolve(metadata=metadata)
    async with open_store() as store:
        with pytest.raises(UnstorableError, match=said) as caught:
            await store.transact(lambda _: Changes(put=(bad,)))
        assert caught.value.session_id == bad.id
        assert caught.value.code == "STORE_UNSTORABLE"
        assert not state.exists()


async def test_a_structure_that_contains_itself_is_refused(
    open_store: OpenStore, make: MakeSession
) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    async with open_store() as store:
        with pytest.raises(UnstorableError):
            await store.transact(lambda _: Changes(put=(make().evolve(metadata=endless),)))


async def test_a_session_that_could_not_be_read_again_is_refused(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    async with open_store() as store:
        with pytest.raises(UnstorableError):
            await store.transact(lambda _: Changes(put=(make().evolve(worktree_path=None),)))
    assert not state.exists()


async def test_closing_waits_for_no_lock(open_store: OpenStore, start_actor: StartActor) -> None:
    holder = start_actor("hold_lock")
    async with open_store(lock_timeout=0.01) as store:
        with pytest.raises(StoreBusyError):
            await store.transact(nothing)
    assert holder.poll() is None
    holder.communicate("go\n")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_job_whose_event_loop_has_ended_is_done_without_an_error(backend: str) -> None:
    jobs: list[Job[None]] = []

    async def leave() -> None:
        jobs.append(Job(lambda: None))

    anyio.run(leave, backend=backend)
    jobs[0].do()


async def test_reservations_that_could_not_be_read_again_are_refused(
    open_store: OpenStore, make: MakeSession
) -> None:
    reservation = Reservation(
        id=make().id, name="n", branch="b", worktree_path="/", creates_branch=True, created_at=now()
    ).model_copy(update={"base_oid": 7})
    async with open_store() as store:
        with pytest.raises(UnstorableError):
            await store.transact(lambda _: Changes(reserve=(reservation,)))
