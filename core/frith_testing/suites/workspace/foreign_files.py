"""A workspace provider leaves alone what it did not create for the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from frith.errors import BranchNotFoundError, WorkspaceError
from frith.model import Session
from frith.ports import Presence, WorkspaceProvider
from frith_testing.harness.base import Opening
from frith_testing.harness.promises import promise
from frith_testing.harness.resources import require_nothing_left
from frith_testing.suites.workspace.git_view import GitView
from frith_testing.suites.workspace.open_workspace import (
    OpenWorkspaceConformance,
    created,
    request,
    session_of,
)


class ForeignFilesConformance(OpenWorkspaceConformance, suite="workspace"):
    """Promises about files, worktrees and tags of others."""

    @promise(since="1.1")
    async def test_creating_keeps_foreign_files_at_the_path(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        before = view.branches()
        plan = await trees.plan(request("feature/one"))
        theirs = Path(plan.path, "file")
        theirs.parent.mkdir(parents=True)
        theirs.write_text("precious")
        with pytest.raises(WorkspaceError):
            await trees.create(plan)
        assert theirs.read_text() == "precious"
        assert (view.worktrees(), view.branches()) == ({}, before)

    @promise(since="1.1")
    async def test_a_directory_that_is_not_a_worktree_is_not_located_as_present(
        self, trees: WorkspaceProvider
    ) -> None:
        # git in that directory would work on the repository around it
        session = session_of(await trees.plan(request("feature/one")))
        theirs = Path(session.worktree_path, "file")
        theirs.parent.mkdir(parents=True)
        theirs.write_text("precious")
        assert (await trees.locate([session]))[session.id].presence is not Presence.PRESENT
        with pytest.raises(WorkspaceError):
            await trees.restore(session)  # its branch does not exist
        assert theirs.read_text() == "precious"

    @promise(since="1.1")
    async def test_worktrees_that_are_temporarily_unavailable_are_kept(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        # Their disk may be unmounted: `git worktree prune` would drop them.
        other = await created(trees, request("feature/two"))
        theirs = str(view.workspace.with_name("theirs"))
        view.git("worktree", "add", "-q", "-b", "theirs", theirs)
        for path in (other.path, theirs):
            view.commit(path)
            Path(path).rename(view.workspace.with_name(f"away-{Path(path).name}"))
        await trees.discard(await created(trees, request("feature/three")))
        await trees.remove(session)
        await trees.repair()
        for path in (other.path, theirs):
            view.workspace.with_name(f"away-{Path(path).name}").rename(path)
            assert view.git("status", "--porcelain", at=path) == ""
        assert view.worktrees() == {other.path: "feature/two", theirs: "theirs"}

    @promise(since="1.1")
    async def test_removing_a_worktree_keeps_the_targets_of_its_symbolic_links(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        theirs = view.workspace.with_name("theirs")
        theirs.mkdir()
        (theirs / "file").write_text("precious")
        Path(session.worktree_path, "link").symlink_to(theirs)
        await trees.remove(session, force=True)
        assert not Path(session.worktree_path).exists()
        assert (theirs / "file").read_text() == "precious"

    @promise(since="1.1")
    async def test_a_tag_is_not_taken_for_a_branch(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        view.git("tag", "feature/one")
        assert await trees.taken(["feature/one"]) == frozenset()
        with pytest.raises(BranchNotFoundError):
            await trees.plan(request("feature/one", existing=True))

    @promise(since="1.1")
    async def test_a_worktree_starts_at_the_commit_of_its_plan(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        # An undone creation compares the branch with that commit to see whether it has new work.
        plan = await trees.plan(request("feature/one", base="main"))
        view.commit(str(view.workspace))
        await trees.create(plan)
        assert view.git("rev-parse", "HEAD", at=plan.path) == plan.base_oid

    @promise(since="1.1")
    async def test_a_closed_workspace_leaves_no_descriptor_and_no_thread(
        self, trees: WorkspaceProvider, session: Session, opening: Opening
    ) -> None:
        async def use(provider: WorkspaceProvider) -> None:
            await provider.locate([session])
            await provider.inspect(session)

        await require_nothing_left(opening, use)
