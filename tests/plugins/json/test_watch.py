"""Being told what other processes did, without polling."""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import StoreError, UnsupportedCapabilityError
from frith.model import Changes, Integrity, Snapshot
from frith_json import store as store_module
from frith_json.options import CAN_WATCH
from frith_json.watch import Directories
from state_files import MakeSession, OpenStore

pytestmark = pytest.mark.skipif(not CAN_WATCH, reason="this platform has no inotify")


class Watch:
    """What a watcher has seen so far, and a way to know that it waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[Snapshot] = []
        self._arrived = anyio.Event()
        self._idle = anyio.Event()
        real = Directories.changed

        async def changed(directories: Directories) -> None:
            self._idle.set()
            self._idle = anyio.Event()
            await real(directories)

        monkeypatch.setattr(Directories, "changed", changed)

    async def run(self, store: Any) -> None:
        async with aclosing(store.watch()) as changes:
            async for _ in changes:
                self.seen.append(await store.load())
                self._arrived.set()

    async def idle(self) -> None:
        """Wait until the watcher waits for the next change."""
        await self._idle.wait()

    async def until(self, count: int) -> None:
        while len(self.seen) < count:
            self._arrived = anyio.Event()
            await self._arrived.wait()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


async def test_own_changes_are_not_reported(
    open_store: OpenStore, make: MakeSession, watch: Watch
) -> None:
    async with open_store() as store, open_store() as other, anyio.create_task_group() as group:
        group.start_soon(watch.run, store)
        await watch.idle()
        for _ in range(20):
            await store.transact(lambda _: Changes(put=(make("own"),)))
            await store.load()
        await other.transact(lambda _: Changes(put=(make("other"),)))
        await watch.until(1)
        group.cancel_scope.cancel()
    assert [len(snapshot.sessions) for snapshot in watch.seen] == [21]


async def test_a_change_that_a_transaction_has_read_first_is_reported(
    open_store: OpenStore, make: MakeSession, watch: Watch
) -> None:
    async with open_store() as store, open_store() as other:
        await store.transact(lambda _: Changes(put=(make("own"),)))
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run, store)
            await watch.idle()
            await other.transact(lambda _: Changes(put=(make("other"),)))
            await store.transact(lambda _: Changes(put=(make("own"),)))
            await watch.until(1)
            group.cancel_scope.cancel()
    assert len(watch.seen[-1].sessions) in (2, 3)


async def test_a_damaged_file_is_passed_over_until_it_is_readable(
    open_store: OpenStore, state: Path, make: MakeSession, watch: Watch
) -> None:
    async with open_store() as store, open_store() as other:
        await other.transact(lambda _: Changes(put=(make(),)))
        good = state.read_bytes()
        await store.load()
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run, store)
            await watch.idle()
            state.write_bytes(good[:-20])
            await watch.idle()
            assert watch.seen == []
            state.write_bytes(good.replace(b'"one"', b'"two"'))
            await watch.until(1)
            group.cancel_scope.cancel()
    assert watch.seen[-1].integrity is Integrity.MISMATCH


async def test_a_file_touched_but_not_changed_is_not_reported(
    open_store: OpenStore, state: Path, make: MakeSession, watch: Watch
) -> None:
    async with open_store() as store, open_store() as other:
        await store.transact(lambda _: Changes(put=(make(),)))
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run, store)
            await watch.idle()
            state.write_bytes(state.read_bytes())
            await watch.idle()
            await other.transact(lambda _: Changes(put=(make(),)))
            await watch.until(1)
            group.cancel_scope.cancel()
    assert [len(snapshot.sessions) for snapshot in watch.seen] == [2]


@pytest.mark.parametrize("how", ["deleted", "moved away"])
async def test_a_deleted_file_is_reported_as_missing(
    open_store: OpenStore, state: Path, make: MakeSession, watch: Watch, how: str
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run, store)
            await watch.idle()
            if how == "deleted":
                state.unlink()
            else:
                state.rename(state.parent.parent / "away")
            await watch.until(1)
            group.cancel_scope.cancel()
    assert watch.seen[0].integrity is Integrity.MISSING


async def test_a_linked_file_is_watched_in_its_own_directory(
    open_store: OpenStore, state: Path, tmp_path: Path, make: MakeSession, watch: Watch
) -> None:
    target = tmp_path / "volume" / "sessions.json"
    target.parent.mkdir()
    state.symlink_to(target)
    async with open_store() as store, open_store() as other, anyio.create_task_group() as group:
        group.start_soon(watch.run, store)
        await watch.idle()
        await other.transact(lambda _: Changes(put=(make(),)))
        await watch.until(1)
        group.cancel_scope.cancel()
    assert len(watch.seen) == 1


async def test_a_watcher_leaves_no_descriptor_behind(open_store: OpenStore, watch: Watch) -> None:
    async with open_store() as store:
        await store.load()
        before = len(os.listdir("/proc/self/fd"))
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run, store)
            await watch.idle()
            assert len(os.listdir("/proc/self/fd")) > before
            group.cancel_scope.cancel()
        assert len(os.listdir("/proc/self/fd")) == before


async def test_the_error_for_a_limit_of_inotify_names_the_limit(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EMFILE)
    monkeypatch.setattr(os, "O_NONBLOCK", -1)
    async with open_store() as store, aclosing(store.watch()) as snapshots:
        with pytest.raises(StoreError, match="max_user_instances"):
            await anext(snapshots)


async def test_a_platform_without_inotify_refuses_to_watch(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "CAN_WATCH", False)
    async with open_store() as store, aclosing(store.watch()) as snapshots:
        with pytest.raises(UnsupportedCapabilityError):
            await anext(snapshots)
