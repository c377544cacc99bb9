"""Worktrees in which the configuration of the repository makes git work on another directory.

With `extensions.worktreeConfig` git applies `core.worktree` of the common configuration to linked
worktrees, too. A git command in such a worktree changes the files of the directory named there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from frith.errors import WorkAtStakeError, WorktreeRedirectedError
from frith.model import Session
from frith.ports import Presence, WorkspaceProvider
from frith_testing.harness.promises import promise
from frith_testing.suites.workspace.git_view import GitView
from frith_testing.suites.workspace.open_workspace import OpenWorkspaceConformance, request


class RedirectedGitConformance(OpenWorkspaceConformance, suite="workspace"):
    """Promises about a configuration that redirects git."""

    @promise(since="1.1")
    async def test_a_worktree_in_which_git_would_be_redirected_is_not_created(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        redirect(view)
        before = view.main_worktree()
        plan = await trees.plan(request("feature/one"))
        with pytest.raises(WorktreeRedirectedError, match=r"core\.worktree"):
            await trees.create(plan)
        assert view.main_worktree() == before
        assert view.worktrees() == {}
        assert "feature/one" not in view.branches()
        assert not Path(plan.path).exists()

    @promise(since="1.1")
    async def test_a_worktree_in_which_git_is_redirected_is_located_as_redirected(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        redirect(view)
        found = (await trees.locate([session]))[session.id]
        assert (found.presence, found.path) == (Presence.REDIRECTED, session.worktree_path)
        assert "core.worktree" in found.reason

    @promise(since="1.1")
    async def test_work_in_a_redirected_worktree_is_at_stake(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        work = Path(session.worktree_path, "work.txt")
        work.write_text("of the session")
        Path(view.workspace, "of_the_user.txt").write_text("in the main worktree")
        redirect(view)
        assert (await trees.inspect(session)).untracked == ("work.txt",)
        with pytest.raises(WorkAtStakeError):
            await trees.remove(session)
        assert work.exists()


def redirect(view: GitView) -> None:
    """Make git work on the files of the main worktree, from every worktree."""
    view.git("config", "core.worktree", str(view.workspace))
    view.git("config", "extensions.worktreeConfig", "true")
