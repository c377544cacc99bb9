"""Worktrees that are missing or were moved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from frith.errors import BranchInUseError, WorktreeMissingError
from frith.model import AtStake, Session
from frith.ports import Presence, WorkspaceProvider
from frith_testing.harness.base import Opening
from frith_testing.suites.workspace.git_view import GitView
from frith_testing.suites.workspace.open_workspace import (
    OpenWorkspaceConformance,
    request,
    session_of,
)


class LocateConformance(OpenWorkspaceConformance, suite="workspace"):
    """Promises about missing and moved worktrees."""

    async def test_locating_covers_every_session(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        gone = session_of(await trees.plan(request("feature/two")))
        found = await trees.locate([session, gone])
        assert {key: (place.presence, place.path) for key, place in found.items()} == {
            session.id: (Presence.PRESENT, session.worktree_path),
            gone.id: (Presence.MISSING, gone.worktree_path),
        }
        assert await trees.locate([]) == {}

    async def test_a_missing_worktree_is_located_as_missing(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        shutil.rmtree(session.worktree_path)
        assert (await trees.locate([session]))[session.id].presence is Presence.MISSING

    async def test_a_missing_worktree_has_nothing_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        shutil.rmtree(session.worktree_path)
        assert await trees.inspect(session) == AtStake()
        await trees.remove(session)
        assert "feature/one" in view.branches()

    async def test_a_missing_worktree_is_restored_from_its_branch(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        commit = view.commit(session.worktree_path)
        shutil.rmtree(session.worktree_path)
        await trees.restore(session)
        assert view.worktrees() == {session.worktree_path: "feature/one"}
        assert view.git("rev-parse", "HEAD", at=session.worktree_path) == commit
        assert view.git("status", "--porcelain", at=session.worktree_path) == ""
        assert (await trees.locate([session]))[session.id].presence is Presence.PRESENT

    async def test_restoring_a_present_worktree_changes_nothing(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        work = Path(session.worktree_path, "tracked.txt")
        work.write_text("precious")
        await trees.restore(session)
        assert work.read_text() == "precious"

    async def test_a_worktree_without_its_branch_cannot_be_restored(
        self, trees: WorkspaceProvider
    ) -> None:
        session = session_of(await trees.plan(request("feature/never")))
        with pytest.raises(WorktreeMissingError) as caught:
            await trees.restore(session)
        assert caught.value.path == session.worktree_path
        assert not Path(session.worktree_path).exists()

    async def test_a_worktree_whose_branch_is_used_elsewhere_cannot_be_restored(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        await trees.remove(session)
        elsewhere = str(view.workspace.with_name("elsewhere"))
        view.git("worktree", "add", "-q", elsewhere, "feature/one")
        with pytest.raises(BranchInUseError) as caught:
            await trees.restore(session)
        assert caught.value.path == elsewhere
        assert not Path(session.worktree_path).exists()

    async def test_an_intact_workspace_needs_no_repair(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        assert await trees.repair() == ()

    async def test_a_moved_workspace_is_recognised_and_repaired(
        self, session: Session, opening: Opening, workspace: Path
    ) -> None:
        Path(session.worktree_path, "tracked.txt").write_text("precious")
        moved = workspace.rename(workspace.with_name("moved"))
        there = session.worktree_path.replace(str(workspace), str(moved))
        async with opening.at(moved).open() as provider:
            place = (await provider.locate([session]))[session.id]
            assert (place.presence, place.path) == (Presence.MOVED, there)
            assert await provider.repair()
            session = session.evolve(worktree_path=there)
            assert (await provider.locate([session]))[session.id].presence is Presence.PRESENT
            assert (await provider.inspect(session)).changed == ("tracked.txt",)
        view = GitView(moved)
        assert view.worktrees() == {there: "feature/one"}
        assert view.git("diff", "--name-only", at=there) == "tracked.txt"
