"""Worktrees are inspected and removed without losing work."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from frith.errors import RemovalBlockedError, WorkAtStakeError
from frith.model import AtStake, Session
from frith.ports import WorkspaceProvider
from frith_testing.harness.base import PATIENCE
from frith_testing.harness.files import changed, files_of
from frith_testing.harness.samples import a_session
from frith_testing.suites.workspace.git_view import GitView
from frith_testing.suites.workspace.open_workspace import (
    OpenWorkspaceConformance,
    created,
    request,
    session_of,
)


class WorkAtStakeConformance(OpenWorkspaceConformance, suite="workspace"):
    """Promises about the work in a worktree."""

    async def test_a_new_worktree_has_nothing_at_stake(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        assert await trees.inspect(session) == AtStake()

    async def test_commits_on_the_branch_are_not_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        commit = view.commit(session.worktree_path)
        assert await trees.inspect(session) == AtStake()
        await trees.remove(session)
        assert view.branches()["feature/one"] == commit

    async def test_changed_files_are_at_stake(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        work = Path(session.worktree_path, "tracked.txt")
        work.write_text("precious")
        await _is_kept(trees, session, AtStake(changed=("tracked.txt",)))
        assert work.read_text() == "precious"

    async def test_untracked_files_are_at_stake(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        work = Path(session.worktree_path, "new.txt")
        work.write_text("precious")
        await _is_kept(trees, session, AtStake(untracked=("new.txt",)))
        assert work.read_text() == "precious"

    async def test_staged_files_are_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        Path(session.worktree_path, "new.txt").write_text("precious")
        view.git("add", "new.txt", at=session.worktree_path)
        await _is_kept(trees, session, AtStake(staged=("new.txt",)))
        assert view.git("show", ":new.txt", at=session.worktree_path) == "precious"

    async def test_ignored_files_are_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        view.git("config", "core.excludesFile", str(view.workspace.with_name("ignored")))
        view.workspace.with_name("ignored").write_text(".env\n")
        secret = Path(session.worktree_path, ".env")
        secret.write_text("SECRET=1")
        await _is_kept(trees, session, AtStake(ignored=(".env",)))
        assert secret.read_text() == "SECRET=1"

    async def test_commits_of_a_detached_head_are_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        view.git("checkout", "-q", "--detach", at=session.worktree_path)
        commit = view.commit(session.worktree_path)
        await _is_kept(trees, session, AtStake(commits=(commit,)))
        assert view.git("rev-parse", "HEAD", at=session.worktree_path) == commit

    async def test_a_merge_in_progress_is_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        other = await created(trees, request("feature/two"))
        view.commit(other.path)
        view.git("merge", "-q", "--no-ff", "--no-commit", "feature/two", at=session.worktree_path)
        assert (await trees.inspect(session)).operation == "merge"
        with pytest.raises(WorkAtStakeError):
            await trees.remove(session)
        assert view.git("rev-parse", "MERGE_HEAD", at=session.worktree_path)

    async def test_a_repository_inside_the_worktree_is_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        inner = Path(session.worktree_path, "inner")
        view.git("init", "-q", str(inner))
        commit = view.commit(str(inner))
        assert await trees.inspect(session)
        with pytest.raises(WorkAtStakeError):
            await trees.remove(session)
        assert view.git("rev-parse", "HEAD", at=inner) == commit

    async def test_work_that_appears_after_an_inspection_is_not_removed(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        assert await trees.inspect(session) == AtStake()
        work = Path(session.worktree_path, "late.txt")
        work.write_text("precious")
        with pytest.raises(WorkAtStakeError) as caught:
            await trees.remove(session)
        assert caught.value.at_stake == AtStake(untracked=("late.txt",))
        assert work.read_text() == "precious"

    async def test_work_is_removed_by_force(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        Path(session.worktree_path, "new.txt").write_text("dispensable")
        await trees.remove(session, force=True)
        assert not Path(session.worktree_path).exists()
        assert view.worktrees() == {}

    async def test_removing_a_worktree_does_not_move_its_branch(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        before = view.branches()
        await trees.remove(session)
        assert not Path(session.worktree_path).exists()
        assert view.worktrees() == {}
        assert view.branches() == before

    async def test_removing_a_worktree_keeps_other_worktrees(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        other = await created(trees, request("feature/two"))
        Path(other.path, "new.txt").write_text("precious")
        await trees.remove(session, force=True)
        assert view.worktrees() == {other.path: "feature/two"}
        assert Path(other.path, "new.txt").read_text() == "precious"

    async def test_removing_a_missing_worktree_is_not_an_error(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        for _ in range(2):
            await trees.remove(session)
            assert await trees.inspect(session) == AtStake()
        assert view.worktrees() == {}

    async def test_a_worktree_inside_the_worktree_blocks_even_force(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        inner = Path(session.worktree_path, "inner")
        view.git("worktree", "add", "-q", "-b", "inner", str(inner))
        (inner / "new.txt").write_text("precious")
        await _is_blocked(trees, session)
        assert (inner / "new.txt").read_text() == "precious"
        assert str(inner) in view.worktrees()

    async def test_the_main_worktree_blocks_even_force(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        before = view.main_worktree()
        await _is_blocked(trees, a_session(branch="main", worktree_path=str(view.workspace)))
        assert (view.workspace / "tracked.txt").exists()
        assert view.main_worktree() == before

    @pytest.mark.parametrize("lies_there", ["directory", "link"])
    async def test_a_path_that_is_not_a_worktree_blocks_even_force(
        self, trees: WorkspaceProvider, view: GitView, lies_there: str
    ) -> None:
        session = session_of(await trees.plan(request("feature/one")))
        path = Path(session.worktree_path)
        theirs = path if lies_there == "directory" else view.workspace.with_name("theirs")
        theirs.mkdir(parents=True)
        (theirs / "file").write_text("precious")
        if theirs != path:
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(theirs)
        await _is_blocked(trees, session)
        assert (path / "file").read_text() == "precious"

    async def test_inspecting_writes_nothing(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        # After a change of times alone, git would write a new index unless it must not lock it.
        for directory in (view.workspace, Path(session.worktree_path)):
            os.utime(directory / "tracked.txt", (1, 1))
        before = _times_of(view.workspace)
        assert await trees.inspect(session) == AtStake()
        assert _times_of(view.workspace) == before

    async def test_inspecting_a_worktree_does_not_disturb_commits_in_it(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        async def keep_inspecting() -> None:
            while True:
                await trees.inspect(session)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keep_inspecting)
                for name in ("one.txt", "two.txt", "three.txt"):
                    commit = await anyio.to_thread.run_sync(
                        view.commit, session.worktree_path, name
                    )
                tasks.cancel_scope.cancel()
        assert view.branches()["feature/one"] == commit

    async def test_a_cancelled_removal_removes_the_whole_worktree_or_nothing(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        before = files_of(Path(session.worktree_path))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await trees.remove(session)
        if view.worktrees():
            assert not changed(files_of(Path(session.worktree_path)), before)
        else:
            assert not Path(session.worktree_path).exists()


async def _is_kept(trees: WorkspaceProvider, session: Session, work: AtStake) -> None:
    assert await trees.inspect(session) == work
    with pytest.raises(WorkAtStakeError) as caught:
        await trees.remove(session)
    assert caught.value.at_stake == work


async def _is_blocked(trees: WorkspaceProvider, session: Session) -> None:
    assert (await trees.inspect(session)).blocked
    with pytest.raises(RemovalBlockedError):
        await trees.remove(session, force=True)


def _times_of(directory: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in directory.rglob("*")}
