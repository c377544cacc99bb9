"""Creations that are cancelled or discarded are undone, and nothing else."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from frith.model import AtStake
from frith.ports import WorkspaceProvider
from frith_testing.harness.promises import promise
from frith_testing.suites.workspace.git_view import GitView
from frith_testing.suites.workspace.open_workspace import (
    OpenWorkspaceConformance,
    created,
    request,
    session_of,
)

FIRST, GROWTH, MOMENTS = 0.002, 1.4, 30
"""A creation is cancelled at once, then after ``FIRST`` seconds, then ``GROWTH`` times later each
time until it completes first: at so many moments at most."""


class UndoConformance(OpenWorkspaceConformance, suite="workspace"):
    """Promises about creations that are undone."""

    @promise(seconds=1)
    async def test_a_creation_cancelled_at_any_moment_leaves_nothing(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        before = view.branches()
        for moment in (0.0, *(FIRST * GROWTH**number for number in range(MOMENTS))):
            plan = await trees.plan(request("feature/one"))
            with anyio.move_on_after(moment) as scope:
                await trees.create(plan)
            if not scope.cancelled_caught:
                assert view.worktrees() == {plan.path: "feature/one"}, moment
                break
            assert not Path(plan.path).exists(), moment
            assert (view.worktrees(), view.branches()) == ({}, before), moment

    async def test_discarding_removes_what_was_created(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        before = view.branches()
        plan = await created(trees, request("feature/one"))
        for _ in range(2):
            assert await trees.discard(plan) == AtStake()
            assert not Path(plan.path).exists()
            assert (view.worktrees(), view.branches()) == ({}, before)

    async def test_discarding_a_plan_that_was_not_carried_out_is_not_an_error(
        self, trees: WorkspaceProvider
    ) -> None:
        assert await trees.discard(await trees.plan(request("feature/one"))) == AtStake()

    @pytest.mark.parametrize("name", ["tracked.txt", "new.txt"])
    async def test_discarding_keeps_a_worktree_with_work(
        self, trees: WorkspaceProvider, view: GitView, name: str
    ) -> None:
        plan = await created(trees, request("feature/one"))
        _wait_for_the_clock(view.workspace.with_name("clock"))
        work = Path(plan.path) / name
        work.write_text("precious")
        assert name in (await trees.discard(plan)).summary()
        assert work.read_text() == "precious"
        assert view.worktrees() == {plan.path: "feature/one"}

    async def test_discarding_keeps_a_branch_with_new_commits(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        plan = await created(trees, request("feature/one"))
        commit = view.commit(plan.path)
        assert (await trees.discard(plan)).commits == (commit,)
        assert view.branches()["feature/one"] == commit
        assert Path(plan.path, "work.txt").exists()

    async def test_discarding_keeps_a_branch_that_existed_before(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        view.git("branch", "feature/one")
        plan = await created(trees, request("feature/one", existing=True))
        await trees.discard(plan)
        assert not Path(plan.path).exists()
        assert "feature/one" in view.branches()

    async def test_discarding_keeps_a_branch_created_after_the_plan(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        plan = await trees.plan(request("feature/one"))
        view.git("branch", "feature/one")
        await trees.discard(plan)
        assert "feature/one" in view.branches()

    async def test_discarding_keeps_foreign_files_at_the_path(
        self, trees: WorkspaceProvider
    ) -> None:
        plan = await trees.plan(request("feature/one"))
        Path(plan.path).mkdir(parents=True)
        Path(plan.path, "file").write_text("precious")
        assert await trees.discard(plan), "it says that nothing is at stake"
        assert Path(plan.path, "file").read_text() == "precious"

    async def test_discarding_keeps_a_foreign_worktree_at_the_path(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        plan = await trees.plan(request("feature/one"))
        view.git("worktree", "add", "-q", "-b", "theirs", plan.path)
        assert await trees.discard(plan), "it says that nothing is at stake"
        assert view.worktrees() == {plan.path: "theirs"}

    async def test_a_late_discard_keeps_the_branch_of_another_session(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        late = await trees.plan(request("feature/one"))
        early = await created(trees, request("feature/one"))
        await trees.discard(late)
        assert view.worktrees() == {early.path: "feature/one"}
        await trees.remove(session_of(early))
        await trees.discard(late)
        assert "feature/one" in view.branches()


def _wait_for_the_clock(probe: Path) -> None:
    """Return once a file that is written now gets a later time than one written before."""
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.touch()
