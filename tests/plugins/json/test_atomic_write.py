"""The previous state or the new one, whatever happens in between."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frith.errors import CommitOutcomeUnknownError, StoreError
from frith.model import Changes
from frith_json import _files
from waiting import TO_RUN

Fail = Callable[..., None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Make one operation of the seam fail, once, before or after it was done."""

    def fail(name: str, code: int, *, after: bool = False, when: str = "") -> None:
        real = getattr(_files, name)
        left = [True]

        def broken(*words: Any) -> Any:
            matches = when in str(words)
            result = real(*words) if after or not matches or not left else None
            if matches and left:
                left.clear()
                raise OSError(code, os.strerror(code))
            return result

        monkeypatch.setattr(_files, name, broken)

    return fail


def temporary(state: Path) -> Path:
    return state.with_suffix(".tmp")


def names(state: Path) -> list[str]:
    return sorted(json.loads(state.read_text())["sessions"], key=str) and [
        record["name"] for record in json.loads(state.read_text())["sessions"]
    ]


@pytest.mark.requirement("R3.5")
async def test_content_is_synced_before_the_rename_and_the_name_after(
    open_store, state, make, monkeypatch
) -> None:
    calls: list[str] = []
    for name in ("open_new", "write_all", "sync", "rename", "sync_directory"):
        real = getattr(_files, name)

        def recorded(*words: Any, name: str = name, real: Any = real) -> Any:
            if name != "rename" or words == (str(temporary(state)), str(state)):
                calls.append(name)
            return real(*words)

        monkeypatch.setattr(_files, name, recorded)
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))
        counted = store.stats
    assert calls[:5] == ["open_new", "write_all", "sync", "rename", "sync_directory"]
    assert (counted.writes, counted.fsyncs) == (1, 2)


@pytest.mark.requirement("R3.6")
@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("open_new", errno.ENOSPC),
        ("open_new", errno.EACCES),
        ("write_all", errno.ENOSPC),
        ("write_all", errno.EIO),
        ("sync", errno.EIO),
        ("take_over_access", errno.EPERM),
        ("rename", errno.EIO),
    ],
)
async def test_a_failure_before_the_rename_leaves_everything_as_it_was(
    open_store, state, make, fail, operation, code
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("one"),)))
        before = state.read_bytes()
        fail(operation, code, when=state.stem + ".tmp" if operation == "rename" else "")
        with pytest.raises(StoreError, match="intact") as caught:
            await store.transact(lambda _: Changes(put=(make("two"),)))
        assert not isinstance(caught.value, CommitOutcomeUnknownError)
        assert isinstance(caught.value.__cause__, OSError)
        assert state.read_bytes() == before
        assert not temporary(state).exists()
        assert [s.name for s in (await store.load()).sessions.values()] == ["one"]
        await store.transact(lambda _: Changes(put=(make("three"),)))
    assert names(state) == ["one", "three"]


@pytest.mark.requirement("R3.6")
@pytest.mark.parametrize(
    "failure", [("sync_directory", errno.EIO, False), ("rename", errno.EIO, True)]
)
async def test_a_failure_after_the_rename_leaves_the_outcome_open(
    open_store, state, make, fail, failure
) -> None:
    operation, code, after = failure
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("one"),)))
        fail(operation, code, after=after, when=state.stem + ".tmp" if after else "")
        with pytest.raises(CommitOutcomeUnknownError, match="Load again"):
            await store.transact(lambda _: Changes(put=(make("two"),)))
        assert [s.name for s in (await store.load()).sessions.values()] == ["one", "two"]
        await store.transact(lambda _: Changes(put=(make("three"),)))
    assert names(state) == ["one", "two", "three"]


async def test_a_failed_sync_is_never_repeated_on_the_same_file(
    open_store, make, monkeypatch
) -> None:
    synced: list[int] = []

    def failing(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        raise OSError(errno.EIO, "Input/output error")

    async with open_store() as store:
        monkeypatch.setattr(_files, "sync", failing)
        with pytest.raises(StoreError):
            await store.transact(lambda _: Changes(put=(make(),)))
    assert len(synced) == 1


async def test_short_writes_are_continued(open_store, state, make, monkeypatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:7])))
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("one"),)))
    assert names(state) == ["one"]


@pytest.mark.expensive("writes a large file")
@pytest.mark.requirement("R3.6")
def test_a_file_larger_than_permitted_leaves_the_previous_one(start_actor, state) -> None:
    first = start_actor("add", "before")
    first.communicate()
    actor = start_actor("outgrow", ready=False)
    shown, _ = actor.communicate(timeout=TO_RUN)
    assert shown == "StoreError STORE_FAILED\n"
    assert names(state) == ["before", "small"]


async def test_the_mode_of_an_existing_file_is_kept(open_store, state, make) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))
        state.chmod(0o640)
        await store.transact(lambda _: Changes(put=(make(),)))
    assert stat.S_IMODE(state.stat().st_mode) == 0o640


async def test_the_owner_of_an_existing_file_is_kept(open_store, state, make) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))
        os.chown(state, 12345, 23456)
        await store.transact(lambda _: Changes(put=(make(),)))
    assert (state.stat().st_uid, state.stat().st_gid) == (12345, 23456)


async def test_a_link_stays_a_link(open_store, state, make, tmp_path) -> None:
    target = tmp_path / "elsewhere" / "sessions.json"
    target.parent.mkdir()
    state.symlink_to(target)
    async with open_store() as store:
        for _ in range(2):
            await store.transact(lambda _: Changes(put=(make(),)))
    assert state.is_symlink()
    assert len(names(target)) == 2
    assert [path.name for path in target.parent.iterdir()] == ["sessions.json"]


@pytest.mark.parametrize("stale", ["file", "read-only", "link", "dangling link", "directory"])
async def test_a_stale_temporary_file_blocks_nobody(
    open_store, state, make, tmp_path, stale
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    where = temporary(state)
    if stale == "directory":
        (where / "full").mkdir(parents=True)
    elif stale.endswith("link"):
        where.symlink_to(victim if stale == "link" else tmp_path / "nowhere")
    else:
        where.write_text("half a fi")
        where.chmod(0o400 if stale == "read-only" else 0o600)
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("one"),)))
    assert names(state) == ["one"]
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()
    assert where.exists() == (stale == "directory")


@pytest.mark.requirement("R3.5")
def test_what_was_acknowledged_outlives_a_kill(start_actor, state) -> None:
    actor = start_actor("add", "one", "1000000")
    assert actor.stdout is not None
    for _ in range(20):
        actor.stdout.readline()
    actor.kill()
    rest, _ = actor.communicate()
    acknowledged = 21 + rest.count("ready\n")
    assert len(names(state)) in (acknowledged, acknowledged + 1)
