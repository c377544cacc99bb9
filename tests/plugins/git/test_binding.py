"""The stamp: what it says of a workspace that was moved, copied or damaged."""

from __future__ import annotations

import json
import os
import shutil
import stat

import pytest

from frith.errors import StoreMismatchError
from frith_git.repository import Repository
from frith_git.stamp import bind


def stamp_of(path):
    return json.loads((path / ".git/frith/store").read_text())


async def bound(path, store="json:state", *, write=True):
    await bind(Repository.find(path), store, write=write)
    return stamp_of(path)


async def test_the_stamp_names_the_workspace_and_its_store(repo):
    stamp = await bound(repo.path)
    place = os.path.realpath(repo.path), os.stat(repo.path).st_ino
    assert (stamp["path"], stamp["inode"], stamp["store"]) == (*place, "json:state")
    assert stamp["workspace"]


async def test_a_workspace_that_is_bound_is_not_written_again(repo):
    await bound(repo.path)
    file = repo.path / ".git/frith/store"
    before = file.stat().st_ino
    await bound(repo.path)
    assert file.stat().st_ino == before


async def test_a_moved_workspace_keeps_its_id(repo):
    before = await bound(repo.path)
    moved = repo.path.rename(repo.path.with_name("moved"))
    after = await bound(moved)
    assert after["workspace"] == before["workspace"]
    assert after["path"] == os.path.realpath(moved)


async def test_a_workspace_moved_to_another_file_system_keeps_its_id(repo):
    before = await bound(repo.path)
    copy = repo.path.with_name("copy")
    shutil.copytree(repo.path, copy, symlinks=True)
    shutil.rmtree(repo.path)
    assert (await bound(copy))["workspace"] == before["workspace"]


async def test_a_copy_of_a_workspace_gets_an_id_of_its_own(repo):
    before = await bound(repo.path)
    copy = repo.path.with_name("copy")
    shutil.copytree(repo.path, copy, symlinks=True)
    after = await bound(copy)
    assert after["workspace"] != before["workspace"]
    assert after["store"] == before["store"]
    assert await bound(repo.path) == before


async def test_a_copy_has_the_store_that_it_was_copied_with(repo):
    await bound(repo.path)
    copy = repo.path.with_name("copy")
    shutil.copytree(repo.path, copy, symlinks=True)
    with pytest.raises(StoreMismatchError):
        await bound(copy, "json:other")


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"store": 1}', b"\xff\0"])
async def test_a_stamp_of_which_nothing_can_be_made_is_written_anew(repo, garbage):
    await bound(repo.path)
    (repo.path / ".git/frith/store").write_bytes(garbage)
    assert (await bound(repo.path, "json:other"))["store"] == "json:other"


async def test_each_worktree_that_is_a_workspace_of_its_own_has_its_own_store(repo):
    other = repo.path.with_name("other")
    repo.git("worktree", "add", "-q", str(other))
    await bound(repo.path)
    await bind(Repository.find(other), "json:other", write=True)
    assert stamp_of(repo.path)["store"] == "json:state"
    with pytest.raises(StoreMismatchError) as caught:
        await bind(Repository.find(other), "json:state", write=True)
    assert caught.value.stamp == os.path.realpath(repo.path / ".git/worktrees/other/frith/store")
    repo.git("worktree", "remove", str(other))
    assert not other.exists()


async def test_the_error_names_the_file_whose_removal_binds_the_workspace_anew(repo):
    await bound(repo.path)
    with pytest.raises(StoreMismatchError) as caught:
        await bound(repo.path, "json:other")
    assert caught.value.stamp in str(caught.value)
    os.unlink(caught.value.stamp)
    assert (await bound(repo.path, "json:other"))["store"] == "json:other"


async def test_the_stamp_is_private(repo):
    await bound(repo.path)
    assert stat.S_IMODE(os.stat(repo.path / ".git/frith/store").st_mode) & 0o077 == 0
