"""Inspecting the work that removing a worktree would destroy."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from frith.model import AtStake, Session
from frith_git import GitWorkspaceOptions
from frith_git.git import GitError
from frith_git.repository import GitFileError
from frith_git.workspace import GitWorkspace

from .conftest import Repo


async def test_a_deleted_and_a_renamed_file_are_at_stake(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "README").unlink()
    repo.git("mv", "src/main.py", "src/other.py", at=tree)
    found = await repo.inspect(session)
    assert found.changed == ("README",)
    assert set(found.staged) == {"src/main.py", "src/other.py"}


async def test_disposable_files_are_not_at_stake(repo: Repo, session: Session, tree: Path) -> None:
    for name in ("node_modules/a/b", "src/__pycache__/x.pyc", "y.pyc"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("x")
    assert not await repo.inspect(session)


async def test_files_with_a_disposable_name_that_are_not_ignored_are_at_stake(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / ".gitignore").write_text("")
    (tree / "node_modules").mkdir()
    (tree / "node_modules/mine").write_text("x")
    assert (await repo.inspect(session)).untracked == ("node_modules/",)


async def test_disposable_patterns_are_configurable(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "build").mkdir()
    (tree / "build/out").write_text("x")
    (tree / "y.pyc").write_text("x")
    options = GitWorkspaceOptions(disposable=("build/*", "bui*"))
    found = await GitWorkspace(options, repo.path).inspect(session)
    assert found.ignored == ("y.pyc",)
    options = GitWorkspaceOptions(disposable=("src/build",))
    found = await GitWorkspace(options, repo.path).inspect(session)
    assert found.ignored == ("build/", "y.pyc")


async def test_status_settings_of_git_hide_no_files(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("config", "status.showUntrackedFiles", "no")
    repo.git("config", "status.relativePaths", "true")
    repo.git("config", "status.branch", "true")
    repo.git("config", "status.showStash", "true")
    (tree / "untracked").write_text("x")
    assert (await repo.inspect(session)).untracked == ("untracked",)


async def test_a_commit_of_a_detached_head_is_at_stake_until_a_branch_reaches_it(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("checkout", "--quiet", "--detach", at=tree)
    assert not await repo.inspect(session)
    lost = repo.commit("lost", at=tree)
    assert (await repo.inspect(session)).commits == (lost,)
    repo.git("branch", "kept", lost)
    assert not await repo.inspect(session)


async def test_commits_of_a_deleted_branch_are_at_stake(
    repo: Repo, session: Session, tree: Path
) -> None:
    lost = repo.commit("lost", at=tree)
    repo.git("update-ref", "-d", "refs/heads/feature/x")
    assert (await repo.inspect(session)).commits == (lost,)


async def test_a_commit_of_a_worktree_ref_is_at_stake(
    repo: Repo, session: Session, tree: Path
) -> None:
    kept = repo.commit("kept", at=tree)
    repo.git("update-ref", "refs/worktree/mine", "HEAD", at=tree)
    repo.git("reset", "--quiet", "--hard", "HEAD~1", at=tree)
    assert (await repo.inspect(session)).commits == (kept,)


async def test_a_stash_is_not_at_stake_because_worktrees_share_it(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "README").write_text("changed")
    repo.git("stash", at=tree)
    assert not await repo.inspect(session)


@pytest.mark.parametrize("operation", ["cherry-pick", "revert"])
async def test_a_cherry_pick_or_revert_in_progress_is_at_stake(
    repo: Repo, session: Session, tree: Path, operation: str
) -> None:
    (tree / "README").write_text("one")
    repo.commit("one", at=tree)
    repo.git("checkout", "--quiet", "-B", "side", "HEAD~1", at=tree)
    (tree / "README").write_text("two")
    repo.commit("two", at=tree)
    with pytest.raises(AssertionError):  # stopped by a conflict
        repo.git(operation, "feature/x", at=tree)
    found = await repo.inspect(session)
    assert (found.operation, found.changed) == (operation, ("README",))


async def test_a_repository_in_a_tracked_directory_is_at_stake(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("init", "--quiet", "src", at=tree)
    assert (await repo.inspect(session)).untracked == ("src/.git/",)


async def test_a_worktree_outside_of_the_sessions_directory_is_blocked(
    repo: Repo, session: Session, tmp_path: Path
) -> None:
    repo.git("worktree", "add", "--quiet", "-b", "mine", str(tmp_path / "mine"))
    found = await repo.inspect(session.evolve(worktree_path=str(tmp_path / "mine")))
    assert "is not in" in found.blocked[0]


async def test_a_worktree_with_another_lock_is_blocked(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("worktree", "unlock", str(tree))
    repo.git("worktree", "lock", "--reason", "on a stick", str(tree))
    assert (await repo.inspect(session)).blocked == ("it is locked: on a stick",)


async def test_a_worktree_without_its_link_is_blocked_and_its_workspace_not_inspected(
    repo: Repo, session: Session, tree: Path
) -> None:
    (repo.path / "untracked").write_text("in the workspace")
    (tree / ".git").unlink()
    found = await repo.inspect(session)
    assert "repair" in found.blocked[0]
    assert not found.untracked


async def test_a_worktree_with_the_link_of_another_is_blocked(
    repo: Repo, session: Session, tree: Path
) -> None:
    other = await repo.create("other")
    shutil.copy(f"{other.worktree_path}/.git", tree / ".git")
    assert "repair" in (await repo.inspect(session)).blocked[0]


async def test_a_file_at_the_path_of_the_worktree_is_blocked(
    repo: Repo, session: Session, tree: Path
) -> None:
    shutil.rmtree(tree)
    tree.write_text("theirs")
    assert (await repo.inspect(session)).blocked == ("it is not a directory",)


async def test_commits_of_a_missing_worktree_are_at_stake(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("checkout", "--quiet", "--detach", at=tree)
    lost = repo.commit("lost", at=tree)
    shutil.rmtree(tree)
    assert (await repo.inspect(session)).commits == (lost,)


@pytest.mark.requirement("R2.8")
@pytest.mark.parametrize("how", ["--force", "--intent-to-add"])
async def test_staged_changes_of_a_missing_worktree_are_at_stake(
    repo: Repo, session: Session, tree: Path, how: str
) -> None:
    (tree / "new").write_text("work")
    repo.git("add", how, "new", at=tree)
    shutil.rmtree(tree)
    assert await repo.inspect(session) == AtStake(staged=("new",))


async def test_staged_changes_of_an_emptied_worktree_are_at_stake(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "README").write_text("work")
    repo.git("add", "README", at=tree)
    shutil.rmtree(tree)
    tree.mkdir()
    assert await repo.inspect(session) == AtStake(staged=("README",))


async def test_staged_changes_of_a_missing_worktree_without_a_commit_are_at_stake(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("switch", "--quiet", "--orphan", "unborn", at=tree)
    (tree / "new").write_text("work")
    repo.git("add", "new", at=tree)
    shutil.rmtree(tree)
    assert (await repo.inspect(session)).staged == ("new",)


async def test_a_damaged_index_of_a_missing_worktree_is_an_error(
    repo: Repo, session: Session, tree: Path
) -> None:
    (repo.admin(session) / "index").write_bytes(b"rubbish")
    shutil.rmtree(tree)
    with pytest.raises(GitError):
        await repo.inspect(session)


async def test_file_names_of_any_bytes_are_reported_in_printable_unicode(
    repo: Repo, session: Session, tree: Path
) -> None:
    for name in (b"caf\xe9", b"new\nline", "grün".encode(), b'"quoted"', b"\x1b[31m"):
        Path(os.fsdecode(os.fsencode(tree) + b"/" + name)).write_text("x")
    found = await repo.inspect(session)
    assert set(found.untracked) == {
        "caf\\xe9",
        "new\\nline",
        "grün",
        '"quoted"',
        "\\x1b[31m",
    }


async def test_a_hidden_change_in_a_file_of_any_name_is_found(
    repo: Repo, session: Session, tree: Path
) -> None:
    name = os.fsdecode(b"line\nfeed\xe9")
    (tree / name).write_text("one")
    repo.commit(at=tree)
    repo.git("update-index", "--assume-unchanged", "--", name, at=tree)
    (tree / name).write_text("two")
    assert (await repo.inspect(session)).changed == ("line\\nfeed\\xe9",)


async def test_a_damaged_index_is_an_error(repo: Repo, session: Session, tree: Path) -> None:
    (repo.admin(session) / "index").write_bytes(b"rubbish")
    with pytest.raises(GitError):
        await repo.inspect(session)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_a_directory_that_cannot_be_read_is_an_error(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "src").chmod(0)
    try:
        with pytest.raises(GitFileError):
            await repo.inspect(session)
    finally:
        (tree / "src").chmod(0o755)


async def test_inspecting_does_not_need_the_index_lock(
    repo: Repo, session: Session, tree: Path
) -> None:
    (repo.admin(session) / "index.lock").touch()
    (tree / "README").write_text("changed")
    assert (await repo.inspect(session)).changed == ("README",)
