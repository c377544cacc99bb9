"""HEAD and branches are read from git's files as git reads them, or left to git."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from frith_git.branches import read_refs
from frith_git.git import GitError
from frith_git.repository import Repository

from .conftest import Repo

NAMES = ("HEAD", "refs/heads/main", "refs/heads/a/b", "refs/heads/a", "refs/heads/none")


def read(repo: Repo, *names: Any) -> Any:
    return read_refs(Repository.find(repo.path), names)


def pack(repo: Repo) -> None:
    repo.git("pack-refs", "--all")


def pack_and_move(repo: Repo) -> None:
    pack(repo)
    repo.commit("second")


def detach(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "--detach")
    repo.commit("second")


@pytest.mark.parametrize("prepare", [lambda repo: None, pack, pack_and_move, detach])
def test_loose_and_packed_refs_are_read_as_git_reads_them(repo: Repo, prepare: Any) -> None:
    repo.git("branch", "a/b")
    prepare(repo)
    told = [repo.git("for-each-ref", "--format=%(objectname)", name) or None for name in NAMES[1:3]]
    assert read(repo, *NAMES) == [repo.git("rev-parse", "HEAD"), *told, None, None]


def lead_elsewhere(repo: Repo) -> None:
    repo.git("symbolic-ref", "refs/heads/a", "refs/heads/main")


def empty(repo: Repo) -> None:
    (repo.path / ".git/refs/heads/a").write_text("")


def leave_unborn(repo: Repo) -> None:
    repo.git("symbolic-ref", "HEAD", "refs/heads/unborn")


def store_refs_elsewhere(repo: Repo) -> None:
    # As in a repository whose refs are in the reftable format.
    (repo.path / ".git/HEAD").write_text("ref: refs/heads/.invalid\n")


@pytest.mark.parametrize("prepare", [lead_elsewhere, empty, leave_unborn, store_refs_elsewhere])
def test_ambiguous_refs_are_left_to_git(repo: Repo, prepare: Any) -> None:
    prepare(repo)
    assert read(repo, "HEAD", "refs/heads/a") is None


@pytest.mark.parametrize("name", ["main", "HEAD~1", "refs/tags/x", "@"])
def test_names_other_than_head_and_branches_are_left_to_git(repo: Repo, name: str) -> None:
    assert read(repo, name) is None


def test_a_linked_worktree_as_workspace_is_left_to_git(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    assert read_refs(Repository.find(tmp_path / "linked"), ["HEAD"]) is None


def test_a_repository_of_another_user_is_left_to_git(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert read(repo, "HEAD") is None


async def test_creating_from_a_branch_whose_commit_is_missing_fails(repo: Repo) -> None:
    plan = await repo.plan()
    objects = repo.path / ".git/objects"
    (objects / str(plan.base_oid)[:2] / str(plan.base_oid)[2:]).unlink()
    with pytest.raises(GitError, match="nonexistent object"):
        await repo.create()
    assert repo.worktrees() == 1
