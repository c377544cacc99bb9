"""The list of branches."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import pytest

from frith.errors import UnsupportedCapabilityError
from frith.model import Session
from frith.ports import Branch, WorkspaceProvider
from frith.providers import Capability
from frith_testing.harness.promises import promise
from frith_testing.suites.workspace.git_view import GitView
from frith_testing.suites.workspace.open_workspace import OpenWorkspaceConformance


class BranchesConformance(OpenWorkspaceConformance, suite="workspace"):
    """Promises about the list of branches."""

    @promise(since="1.1", needs=Capability.BRANCHES)
    async def test_branches_are_listed_with_their_commits_and_worktrees(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        view.commit(session.worktree_path)
        view.git("branch", "other")
        view.git("tag", "no-branch")
        view.git("update-ref", "refs/remotes/origin/main", "main")
        for key, value in (("remote", "origin"), ("merge", "refs/heads/main")):
            view.git("config", f"branch.other.{key}", value)
        view.git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
        commits = view.branches()

        def moment(branch: str) -> datetime:
            seconds = view.git("log", "-1", "--format=%ct", branch)
            return datetime.fromtimestamp(int(seconds), UTC)

        main, ours = str(view.workspace), session.worktree_path
        assert await trees.branches() == (
            Branch("feature/one", commits["feature/one"], moment("feature/one"), ours),
            Branch("main", commits["main"], moment("main"), main, is_head=True),
            Branch("other", commits["other"], moment("other"), upstream="origin/main"),
        )

    @promise(since="1.1", needs=Capability.BRANCHES)
    async def test_a_branch_that_is_being_rebased_is_listed_with_its_worktree(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        view.commit(session.worktree_path, "ours.txt")
        with pytest.raises(subprocess.CalledProcessError):
            view.git("rebase", "-q", "--exec", "false", "main", at=session.worktree_path)
        (ours, _) = await trees.branches()
        assert (ours.name, ours.worktree_path) == (session.branch, session.worktree_path)

    @promise(since="1.1", without=Capability.BRANCHES)
    async def test_listing_branches_is_refused_unless_declared(
        self, trees: WorkspaceProvider
    ) -> None:
        with pytest.raises(UnsupportedCapabilityError) as caught:
            await trees.branches()
        assert caught.value.capability == Capability.BRANCHES
