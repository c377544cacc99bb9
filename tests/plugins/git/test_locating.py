"""Locating, repairing and restoring worktrees that were moved or are missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from frith.errors import BranchInUseError, WorktreeMissingError
from frith.model import Session
from frith.ports import MarkerState, Presence
from frith_git.git import GitError

from .conftest import MakeRepo, Repo


@pytest.fixture
async def session(repo: Repo) -> Session:
    session = await repo.create()
    await repo.recovery.remember(session, MarkerState.LIVE)
    return session


async def presence_of(repo: Repo, session: Session) -> Presence:
    return (await repo.workspace.locate([session]))[session.id].presence


async def test_locating_runs_no_git(
    repo: Repo, session: Session, git_runs: list[tuple[str, ...]]
) -> None:
    assert await presence_of(repo, session) == Presence.PRESENT
    assert git_runs == []


async def test_a_worktree_that_git_no_longer_lists_is_missing(repo: Repo, session: Session) -> None:
    shutil.rmtree(repo.admin(session))
    assert await presence_of(repo, session) == Presence.MISSING


async def test_a_worktree_recorded_at_a_path_that_is_gone_is_missing(
    repo: Repo, session: Session, tree: Path
) -> None:
    gone = session.evolve(worktree_path="/nowhere/.worktrees/x")
    assert await presence_of(repo, gone) == Presence.MISSING


async def test_a_worktree_recorded_outside_of_the_workspace_is_present(
    repo: Repo, session: Session, tmp_path: Path
) -> None:
    repo.git("worktree", "add", "--quiet", "-b", "mine", str(tmp_path / "mine"))
    mine = session.evolve(worktree_path=str(tmp_path / "mine"))
    assert await presence_of(repo, mine) == Presence.PRESENT


@pytest.mark.requirement("R5.2")
@pytest.mark.skipif(os.geteuid() == 0, reason="root enters everything")
async def test_a_worktree_in_an_unreadable_directory_is_unknown(
    repo: Repo, session: Session, tree: Path
) -> None:
    tree.parent.chmod(0)
    try:
        assert await presence_of(repo, session) == Presence.UNKNOWN
    finally:
        tree.parent.chmod(0o755)


@pytest.mark.requirement("R5.2")
async def test_a_worktree_with_an_unreadable_link_is_unknown(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / ".git").unlink()
    (tree / ".git").symlink_to(".git")  # ELOOP, even for root
    assert await presence_of(repo, session) == Presence.UNKNOWN


def moved(repo: Repo, make_repo: MakeRepo, tmp_path: Path) -> Repo:
    repo.path.rename(tmp_path / "moved")
    return type(repo)(tmp_path / "moved")


@pytest.mark.requirement("R4.4")
async def test_worktrees_of_a_moved_workspace_are_located_and_repaired(
    repo: Repo, session: Session, tree: Path, make_repo: MakeRepo, tmp_path: Path
) -> None:
    (tree / "README").write_text("work")
    there = moved(repo, make_repo, tmp_path)
    found = (await there.workspace.locate([session]))[session.id]
    assert (found.presence, found.path) == (
        Presence.MOVED,
        f"{there.path}/.worktrees/{session.id}",
    )
    there.git("worktree", "prune")
    assert len(await there.workspace.repair()) == 1
    here = session.evolve(worktree_path=found.path)
    assert await presence_of(there, here) == Presence.PRESENT
    assert (await there.inspect(here)).changed == ("README",)
    assert await there.workspace.repair() == ()
    assert [m.session for m in await there.recovery.rebuild()] == [here]


async def test_repairing_a_copy_does_not_change_worktrees_of_the_original(
    repo: Repo, session: Session, tree: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    repo.git("worktree", "add", "--quiet", "-b", "mine", str(mine))
    shutil.copytree(repo.path, tmp_path / "copy", symlinks=True)
    copy = type(repo)(tmp_path / "copy")
    assert len(await copy.workspace.repair()) == 1
    assert repo.git("rev-parse", "--git-common-dir", at=mine) == f"{repo.path}/.git"
    assert repo.git("rev-parse", "--git-common-dir", at=tree) == f"{repo.path}/.git"
    copied = copy.path / ".worktrees" / session.id
    assert repo.git("rev-parse", "--git-common-dir", at=copied) == f"{copy.path}/.git"


async def test_repair_locks_worktrees_of_sessions(repo: Repo, session: Session, tree: Path) -> None:
    repo.git("worktree", "unlock", str(tree))
    repo.git("worktree", "add", "--quiet", "-b", "mine", str(repo.path / ".worktrees/mine"))
    assert len(await repo.workspace.repair()) == 1
    assert (repo.admin(session) / "locked").read_text().strip() == f"frith {session.id}"
    assert not (repo.path / ".git/worktrees/mine/locked").exists()


async def test_repair_writes_a_lost_link(repo: Repo, session: Session, tree: Path) -> None:
    (tree / "README").write_text("work")
    (tree / ".git").unlink()
    assert await presence_of(repo, session) == Presence.MISSING
    assert len(await repo.workspace.repair()) == 1
    assert (await repo.inspect(session)).changed == ("README",)


async def test_repair_does_not_change_other_directories(repo: Repo, session: Session) -> None:
    stranger = repo.path / ".worktrees" / "stranger"
    stranger.mkdir()
    (stranger / "file").write_text("x")
    linked = repo.path / ".worktrees" / "linked"
    linked.mkdir()
    (linked / ".git").write_text("gitdir: /nowhere/.git/worktrees/linked\n")
    copied = repo.path / ".worktrees" / "copied"
    shutil.copytree(session.worktree_path, copied)
    assert await repo.workspace.repair() == ()


async def test_repair_does_not_replace_a_moved_worktree_by_its_copy(
    repo: Repo, session: Session, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    repo.git("worktree", "move", "-f", "-f", str(tree), str(tmp_path / "out" / session.id))
    shutil.copytree(tmp_path / "out" / session.id, tree)
    assert await repo.workspace.repair() == ()
    assert (repo.admin(session) / "gitdir").read_text() == f"{tmp_path}/out/{session.id}/.git\n"


async def test_a_workspace_without_sessions_needs_no_repair(repo: Repo) -> None:
    assert await repo.workspace.repair() == ()


@pytest.mark.requirement("R2.11")
async def test_a_missing_worktree_is_restored_with_marker_and_staged_changes(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "staged").write_text("staged")
    repo.git("add", "staged", at=tree)
    shutil.rmtree(tree)
    await repo.workspace.restore(session)
    assert (tree / "staged").read_text() == "staged"
    assert (tree / "README").read_text() == "hello\n"
    assert repo.git("status", "--porcelain", at=tree) == "A  staged"
    assert [m.session for m in await repo.recovery.rebuild()] == [session]
    assert await presence_of(repo, session) == Presence.PRESENT


async def test_a_detached_head_is_restored_with_its_commits(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("checkout", "--quiet", "--detach", at=tree)
    own = repo.commit("own", at=tree)
    shutil.rmtree(tree)
    await repo.workspace.restore(session)
    assert repo.git("rev-parse", "HEAD", at=tree) == own


@pytest.mark.requirement("R2.11")
async def test_a_worktree_that_git_no_longer_lists_is_created_again_from_its_branch(
    repo: Repo, session: Session, tree: Path
) -> None:
    commit = repo.commit("work", at=tree)
    repo.git("worktree", "unlock", str(tree))
    repo.git("worktree", "remove", "--force", str(tree))
    await repo.workspace.restore(session)
    assert repo.git("rev-parse", "HEAD", at=tree) == commit
    assert (repo.admin(session) / "locked").read_text().strip() == f"frith {session.id}"


async def test_an_unlocked_worktree_is_locked_when_restored(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("worktree", "unlock", str(tree))
    shutil.rmtree(tree)
    await repo.workspace.restore(session)
    assert (repo.admin(session) / "locked").exists()


async def test_a_missing_worktree_without_index_is_restored_from_its_head(
    repo: Repo, session: Session, tree: Path
) -> None:
    shutil.rmtree(tree)
    (repo.admin(session) / "index").unlink()
    await repo.workspace.restore(session)
    assert repo.git("status", "--porcelain", at=tree) == ""


async def test_restoring_does_not_overwrite_existing_files(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "README").write_text("work")
    (tree / "src/main.py").unlink()
    (tree / ".git").unlink()
    await repo.workspace.restore(session)
    assert (tree / "README").read_text() == "work"
    assert (tree / "src/main.py").exists()


@pytest.mark.requirement("R4.4")
async def test_a_worktree_missing_before_its_workspace_moved_is_restored_with_its_commits(
    repo: Repo, session: Session, tree: Path, make_repo: MakeRepo, tmp_path: Path
) -> None:
    repo.git("checkout", "--quiet", "--detach", at=tree)
    own = repo.commit("own", at=tree)
    shutil.rmtree(tree)
    there = moved(repo, make_repo, tmp_path)
    here = session.evolve(worktree_path=str(there.path / ".worktrees" / session.id))
    await there.workspace.restore(here)
    assert there.git("rev-parse", "HEAD", at=here.worktree_path) == own
    assert await presence_of(there, here) == Presence.PRESENT


async def test_a_worktree_missing_in_a_copy_does_not_take_the_branch_of_the_original(
    repo: Repo, session: Session, tree: Path, tmp_path: Path
) -> None:
    shutil.copytree(repo.path, tmp_path / "copy", symlinks=True)
    copy = type(repo)(tmp_path / "copy")
    here = session.evolve(worktree_path=str(copy.path / ".worktrees" / session.id))
    shutil.rmtree(here.worktree_path)
    with pytest.raises(BranchInUseError):
        await copy.workspace.restore(here)
    assert repo.git("symbolic-ref", "--short", "HEAD", at=tree) == session.branch


@pytest.mark.parametrize("thing", ["link", "file", "repository"])
async def test_restoring_is_refused_where_something_else_is_at_the_path(
    repo: Repo, session: Session, tree: Path, tmp_path: Path, thing: str
) -> None:
    shutil.rmtree(tree)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    if thing == "link":
        tree.symlink_to(theirs)
    elif thing == "file":
        tree.write_text("theirs")
    else:
        repo.git("init", "--quiet", str(tree))
    with pytest.raises(WorktreeMissingError, match="Move it away first"):
        await repo.workspace.restore(session)
    assert not list(theirs.iterdir())
    assert thing == "file" or [found.name for found in tree.iterdir()] in ([], [".git"])


async def test_a_missing_worktree_whose_head_is_all_zeros_is_created_again(
    repo: Repo, session: Session, tree: Path
) -> None:
    shutil.rmtree(tree)
    (repo.admin(session) / "HEAD").write_text("0" * 40 + "\n")
    await repo.workspace.restore(session)
    assert repo.git("symbolic-ref", "--short", "HEAD", at=tree) == session.branch


@pytest.mark.parametrize("forgotten", [True, False])
async def test_restoring_is_refused_if_the_branch_is_checked_out_elsewhere(
    repo: Repo, session: Session, tree: Path, forgotten: bool
) -> None:
    shutil.rmtree(tree)
    if forgotten:
        shutil.rmtree(repo.admin(session))
    repo.git("checkout", "--quiet", "--ignore-other-worktrees", session.branch)
    with pytest.raises(BranchInUseError):
        await repo.workspace.restore(session)
    assert not tree.exists()


async def test_restoring_a_worktree_outside_of_the_workspace_asks_for_repair(
    repo: Repo, session: Session
) -> None:
    with pytest.raises(WorktreeMissingError, match="[Rr]epair"):
        await repo.workspace.restore(session.evolve(worktree_path="/nowhere/.worktrees/x"))


async def test_a_restore_that_fails_leaves_no_worktree(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.git("worktree", "unlock", str(tree))
    repo.git("worktree", "remove", "--force", str(tree))
    commit = repo.git("rev-parse", f"{session.branch}:src")
    (repo.path / ".git/objects" / commit[:2] / commit[2:]).unlink()
    with pytest.raises(GitError, match="unable to read tree"):
        await repo.workspace.restore(session)
    assert not tree.exists()
    assert not repo.admin(session).exists()
