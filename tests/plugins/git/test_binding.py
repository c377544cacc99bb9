"""The stamp of a workspace that was moved, copied or damaged."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from frith.errors import StoreMismatchError
from frith_git import GitWorkspaceOptions
from frith_git.workspace import GitWorkspace

from .conftest import Repo


def stamp_of(path: Path) -> Any:
    return json.loads((path / ".git/frith/store").read_text())


async def bound(path: Path, store: Any = "json:state", *, write: Any = True) -> Any:
    await GitWorkspace(GitWorkspaceOptions(), path).bind_store(store, write=write)
    return stamp_of(path)


async def test_the_stamp_names_the_workspace_and_its_store(repo: Repo) -> None:
    stamp = await bound(repo.path)
    place = os.path.realpath(repo.path), os.stat(repo.path).st_ino
    assert (stamp["path"], stamp["inode"], stamp["store"]) == (*place, "json:state")
    assert stamp["workspace"]


async def test_the_stamp_of_a_bound_workspace_is_not_written_again(repo: Repo) -> None:
    await bound(repo.path)
    file = repo.path / ".git/frith/store"
    before = file.stat().st_ino
    await bound(repo.path)
    assert file.stat().st_ino == before


async def test_a_moved_workspace_keeps_its_id(repo: Repo) -> None:
    before = await bound(repo.path)
    moved = repo.path.rename(repo.path.with_name("moved"))
    after = await bound(moved)
    assert after["workspace"] == before["workspace"]
    assert after["path"] == os.path.realpath(moved)


async def test_a_workspace_moved_to_another_file_system_keeps_its_id(repo: Repo) -> None:
    before = await bound(repo.path)
    copy = repo.path.with_name("copy")
    shutil.copytree(repo.path, copy, symlinks=True)
    shutil.rmtree(repo.path)
    assert (await bound(copy))["workspace"] == before["workspace"]


async def test_a_copy_of_a_workspace_gets_a_new_id(repo: Repo) -> None:
    before = await bound(repo.path)
    copy = repo.path.with_name("copy")
    shutil.copytree(repo.path, copy, symlinks=True)
    after = await bound(copy)
    assert after["workspace"] != before["workspace"]
    assert after["store"] == before["store"]
    assert await bound(repo.path) == before


async def test_a_copy_of_a_workspace_keeps_its_store(repo: Repo) -> None:
    await bound(repo.path)
    copy = repo.path.with_name("copy")
    shutil.copytree(repo.path, copy, symlinks=True)
    with pytest.raises(StoreMismatchError):
        await bound(copy, "json:other")


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"store": 1}', b"\xff\0"])
async def test_an_invalid_stamp_is_replaced(repo: Repo, garbage: Any) -> None:
    await bound(repo.path)
    (repo.path / ".git/frith/store").write_bytes(garbage)
    assert (await bound(repo.path, "json:other"))["store"] == "json:other"


async def test_a_worktree_that_is_a_workspace_has_a_store_of_its_own(repo: Repo) -> None:
    other = repo.path.with_name("other")
    repo.git("worktree", "add", "-q", str(other))
    await bound(repo.path)
    linked = GitWorkspace(GitWorkspaceOptions(), other)
    await linked.bind_store("json:other", write=True)
    assert stamp_of(repo.path)["store"] == "json:state"
    with pytest.raises(StoreMismatchError) as caught:
        await linked.bind_store("json:state", write=True)
    assert caught.value.stamp == os.path.realpath(repo.path / ".git/worktrees/other/frith/store")
    repo.git("worktree", "remove", str(other))
    assert not other.exists()


async def test_the_error_names_the_stamp_which_can_be_deleted_to_bind_another_store(
    repo: Repo,
) -> None:
    await bound(repo.path)
    with pytest.raises(StoreMismatchError) as caught:
        await bound(repo.path, "json:other")
    assert caught.value.stamp in str(caught.value)
    os.unlink(caught.value.stamp)
    assert (await bound(repo.path, "json:other"))["store"] == "json:other"


async def test_the_stamp_is_private(repo: Repo) -> None:
    await bound(repo.path)
    assert stat.S_IMODE(os.stat(repo.path / ".git/frith/store").st_mode) & 0o077 == 0
