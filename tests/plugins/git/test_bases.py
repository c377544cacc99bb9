"""The commit at which a branch began."""

from __future__ import annotations

from pathlib import Path

import pytest

from frith.model import Session
from frith.ports import DiffScope

from .conftest import MakeRepo, Repo


async def since_branching(repo: Repo, session: Session) -> list[str]:
    found = await repo.workspace.changed_files(session, DiffScope.BRANCH)
    return [file.path for file in found]


def work(repo: Repo, name: str, at: Path | str | None = None) -> str:
    (Path(at or repo.path) / name).write_text(f"{name}\n")
    return repo.commit(name, at=at)


async def test_merging_the_base_brings_no_changes(repo: Repo, session: Session, tree: Path) -> None:
    work(repo, "ours", tree)
    work(repo, "theirs")
    repo.git("merge", "--quiet", "--no-edit", "main", at=tree)
    assert await since_branching(repo, session) == ["ours"]


async def test_what_was_merged_into_the_base_is_no_change(
    repo: Repo, session: Session, tree: Path
) -> None:
    work(repo, "merged", tree)
    repo.git("merge", "--quiet", session.branch)
    (tree / "new").touch()
    assert await since_branching(repo, session) == ["new"]


async def test_the_base_of_a_branch_stays_wherever_the_workspace_goes(
    repo: Repo, make_repo: MakeRepo
) -> None:
    old = repo.git("rev-parse", "HEAD")
    work(repo, "base")
    session = await repo.create()
    work(repo, "ours", session.worktree_path)
    repo.git("checkout", "--quiet", old)
    assert await since_branching(repo, session) == ["ours"]


async def test_a_branch_from_a_release_that_merged_the_main_branch_keeps_its_base(
    repo: Repo,
) -> None:
    repo.git("checkout", "--quiet", "-b", "release")
    work(repo, "release")
    repo.git("checkout", "--quiet", "main")
    session = await repo.create(base="release")
    work(repo, "main")
    work(repo, "ours", session.worktree_path)
    repo.git("merge", "--quiet", "--no-edit", "main", at=session.worktree_path)
    assert await since_branching(repo, session) == ["main", "ours"]


async def test_the_upstream_is_the_base(repo: Repo, session: Session, tree: Path) -> None:
    work(repo, "first", tree)
    repo.git("branch", "other", at=tree)
    work(repo, "second", tree)
    assert await since_branching(repo, session) == ["first", "second"]
    repo.git("branch", "--quiet", "--set-upstream-to=other", at=tree)
    assert await since_branching(repo, session) == ["second"]


@pytest.mark.parametrize("branch", ["feature/x", "x"])
async def test_a_pushed_branch_is_not_its_own_base(repo: Repo, tmp_path: Path, branch: str) -> None:
    repo.git("init", "--quiet", "--bare", str(tmp_path / "remote"))
    repo.git("remote", "add", "origin", str(tmp_path / "remote"))
    session = await repo.create(branch)
    work(repo, "pushed", session.worktree_path)
    repo.git("push", "--quiet", "--set-upstream", "origin", branch, at=session.worktree_path)
    assert await since_branching(repo, session) == ["pushed"]
    repo.git("push", "--quiet", "origin", "main:release")
    repo.git("fetch", "--quiet", "origin", at=session.worktree_path)
    repo.git("branch", "--quiet", "--set-upstream-to=origin/release", at=session.worktree_path)
    assert await since_branching(repo, session) == ["pushed"]


async def test_an_upstream_that_is_gone_is_no_base(
    repo: Repo, session: Session, tree: Path
) -> None:
    work(repo, "ours", tree)
    repo.git("branch", "other", at=tree)
    repo.git("branch", "--quiet", "--set-upstream-to=other", at=tree)
    repo.git("branch", "--quiet", "-D", "other")
    assert await since_branching(repo, session) == ["ours"]


async def test_an_existing_branch_began_at_the_workspaces_head(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "-b", "existing")
    work(repo, "old")
    repo.git("checkout", "--quiet", "main")
    session = await repo.create("existing", existing=True)
    (Path(session.worktree_path) / "new").touch()
    assert await since_branching(repo, session) == ["new", "old"]


async def test_without_a_reflog_a_branch_began_at_the_workspaces_head(
    repo: Repo, session: Session, tree: Path
) -> None:
    work(repo, "first", tree)
    stacked = await repo.create("feature/y", base=session.branch)
    work(repo, "second", stacked.worktree_path)
    assert await since_branching(repo, stacked) == ["second"]
    repo.git("reflog", "expire", "--expire=all", "refs/heads/feature/y")
    assert await since_branching(repo, stacked) == ["first", "second"]


async def test_a_workspace_without_a_commit_is_no_base(repo: Repo, session: Session) -> None:
    work(repo, "ours", session.worktree_path)
    repo.git("symbolic-ref", "HEAD", "refs/heads/unborn")
    assert await since_branching(repo, session) == ["ours"]
