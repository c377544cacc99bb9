"""The previous state or the new one, and an error that says which."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from frith.errors import CommitOutcomeUnknownError, StoreError
from frith.model import Changes
from frith_os import atomic
from state_files import MakeSession, OpenStore


def failing(code: int) -> Any:
    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def names(state: Path) -> list[str]:
    return [record["name"] for record in json.loads(state.read_text())["sessions"]]


@pytest.mark.requirement("R3.5")
@pytest.mark.requirement("R3.6")
@pytest.mark.parametrize(
    ("step", "code"),
    [("open_new", errno.EACCES), ("write_all", errno.ENOSPC), ("sync", errno.EIO)],
)
async def test_a_failure_before_the_rename_leaves_everything_as_it_was(
    open_store: OpenStore,
    state: Path,
    make: MakeSession,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    code: int,
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("one"),)))
        before = state.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(atomic, step, failing(code))
            with pytest.raises(StoreError, match="intact") as caught:
                await store.transact(lambda _: Changes(put=(make("two"),)))
        assert not isinstance(caught.value, CommitOutcomeUnknownError)
        assert isinstance(caught.value.__cause__, OSError)
        assert state.read_bytes() == before
        assert [s.name for s in (await store.load()).sessions.values()] == ["one"]
        await store.transact(lambda _: Changes(put=(make("three"),)))
    assert names(state) == ["one", "three"]


@pytest.mark.requirement("R3.6")
async def test_a_failure_after_the_rename_leaves_the_outcome_unknown(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("one"),)))
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "sync_directory", failing(errno.EIO))
            with pytest.raises(CommitOutcomeUnknownError, match="Load again"):
                await store.transact(lambda _: Changes(put=(make("two"),)))
        assert [s.name for s in (await store.load()).sessions.values()] == ["one", "two"]
        await store.transact(lambda _: Changes(put=(make("three"),)))
    assert names(state) == ["one", "two", "three"]


async def test_a_failed_fsync_is_never_repeated_on_the_same_file(
    open_store: OpenStore, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fail(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(atomic, "sync", fail)
    async with open_store() as store:
        with pytest.raises(StoreError):
            await store.transact(lambda _: Changes(put=(make(),)))
    assert len(synced) == 1


async def test_a_state_file_that_is_a_link_stays_one(
    open_store: OpenStore, state: Path, make: MakeSession, tmp_path: Path
) -> None:
    target = tmp_path / "elsewhere" / "sessions.json"
    target.parent.mkdir()
    state.symlink_to(target)
    async with open_store() as store:
        for _ in range(2):
            await store.transact(lambda _: Changes(put=(make(),)))
    assert state.is_symlink()
    assert len(names(target)) == 2
    assert [path.name for path in target.parent.iterdir()] == ["sessions.json"]


async def test_something_that_occupies_the_temporary_name_blocks_no_writer(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    (state.with_suffix(".tmp") / "full").mkdir(parents=True)
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("one"),)))
    assert names(state) == ["one"]
