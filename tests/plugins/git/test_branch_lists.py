"""The list of branches in repositories that are out of the ordinary."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from frith_git import GitWorkspaceOptions
from frith_git.workspace import GitWorkspace

from .conftest import Repo


async def test_a_repository_without_commits_has_no_branches(tmp_path: Path, repo: Repo) -> None:
    repo.git("init", "--quiet", str(tmp_path / "empty"))
    assert await GitWorkspace(GitWorkspaceOptions(), tmp_path / "empty").branches() == ()


async def test_a_branch_need_not_be_utf_8(repo: Repo) -> None:
    repo.git("branch", b"odd-\xff")
    assert [branch.name for branch in await repo.workspace.branches()] == [
        "main",
        os.fsdecode(b"odd-\xff"),
    ]


async def test_a_date_in_the_far_future_is_shown_as_the_last_one(repo: Repo) -> None:
    tree = repo.git("rev-parse", "HEAD^{tree}")
    commit = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 999999999999 +0000\n\nx\n"
    (repo.path / "commit").write_text(commit)
    oid = repo.git("hash-object", "-t", "commit", "-w", "--literally", "commit")
    repo.git("update-ref", "refs/heads/future", oid)
    (future, _) = await repo.workspace.branches()
    assert future.committed_at == datetime.max.replace(microsecond=0, tzinfo=UTC)


async def test_a_worktree_may_have_a_line_break_in_its_path(repo: Repo, tmp_path: Path) -> None:
    place = tmp_path / "new\nline"
    repo.git("worktree", "add", "--quiet", "-b", "other", str(place))
    (_, other) = await repo.workspace.branches()
    assert other.worktree_path == str(place)


async def test_a_bare_workspace_has_its_branches(repo: Repo, tmp_path: Path) -> None:
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(tmp_path / "bare"))
    (main,) = await GitWorkspace(GitWorkspaceOptions(), tmp_path / "bare").branches()
    assert (main.name, main.is_head, main.worktree_path) == ("main", True, None)


async def test_the_head_of_a_linked_worktree_as_workspace_is_its_own(
    repo: Repo, tmp_path: Path
) -> None:
    place = tmp_path / "linked"
    repo.git("worktree", "add", "--quiet", "-b", "other", str(place))
    found = await GitWorkspace(GitWorkspaceOptions(), place).branches()
    assert [(branch.name, branch.is_head) for branch in found] == [
        ("main", False),
        ("other", True),
    ]
