"""The suite for workspace providers: see :class:`frith.ports.WorkspaceProvider`."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from frith.errors import (
    BaseNotFoundError,
    BranchBlockedError,
    BranchInUseError,
    BranchNotFoundError,
    BranchTakenError,
    InvalidBranchError,
)
from frith.ports import WorkspaceProvider, WorktreePlan
from frith_testing.harness.base import Opening
from frith_testing.harness.files import changed, files_of
from frith_testing.harness.promises import promise
from frith_testing.suites.workspace.branches import BranchesConformance
from frith_testing.suites.workspace.differences import DifferencesConformance
from frith_testing.suites.workspace.foreign_files import ForeignFilesConformance
from frith_testing.suites.workspace.git_view import GitView
from frith_testing.suites.workspace.hidden_work import HiddenWorkConformance
from frith_testing.suites.workspace.locate import LocateConformance
from frith_testing.suites.workspace.open_workspace import created, request
from frith_testing.suites.workspace.redirected_git import RedirectedGitConformance
from frith_testing.suites.workspace.store_binding import StoreBindingConformance
from frith_testing.suites.workspace.undo import UndoConformance
from frith_testing.suites.workspace.work_at_stake import WorkAtStakeConformance


class WorkspaceConformance(
    UndoConformance,
    WorkAtStakeConformance,
    HiddenWorkConformance,
    ForeignFilesConformance,
    LocateConformance,
    RedirectedGitConformance,
    DifferencesConformance,
    BranchesConformance,
    StoreBindingConformance,
    suite="workspace",
):
    """Tests of a workspace provider. Define the fixture ``provider``.

    What the provider did is checked with the git command (fixture ``view``) and in the files. The
    fixture ``workspace`` is a repository with one commit of the file ``tracked.txt``.
    """

    async def test_a_missing_branch_is_not_taken(self, trees: WorkspaceProvider) -> None:
        assert await trees.taken([]) == frozenset()
        assert await trees.taken(["one", "feature/two"]) == frozenset()

    async def test_an_existing_branch_is_taken(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        view.git("branch", "feature/one")
        assert await trees.taken(["feature/one", "feature/two"]) == {"feature/one"}

    async def test_a_free_branch_name_can_be_created(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        view.git("branch", "one")
        free = [name for name in ("one/below", "One", "on") if not await trees.taken([name])]
        for branch in free:
            await created(trees, request(branch))
        assert view.branches().keys() == {"main", "one", *free}

    async def test_a_plan_describes_what_will_be_created(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        asked = request("feature/one")
        plan = await trees.plan(asked)
        assert (plan.session_id, plan.branch) == (asked.session_id, "feature/one")
        assert Path(plan.path).is_absolute()
        assert plan.creates_branch
        assert plan.base_oid == view.git("rev-parse", "HEAD")

    async def test_planning_changes_nothing(
        self, trees: WorkspaceProvider, workspace: Path
    ) -> None:
        before = files_of(workspace)
        plan = await trees.plan(request("feature/one"))
        assert files_of(workspace) == before
        assert not Path(plan.path).exists()

    @pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", "a\nb", "a/", ".a", "a.lock"])
    async def test_an_invalid_branch_is_refused(
        self, trees: WorkspaceProvider, branch: str
    ) -> None:
        with pytest.raises(InvalidBranchError) as caught:
            await trees.plan(request(branch))
        assert caught.value.branch == branch

    async def test_a_new_branch_that_exists_is_refused(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        view.git("branch", "feature/one")
        with pytest.raises(BranchTakenError) as caught:
            await trees.plan(request("feature/one"))
        assert caught.value.branch == "feature/one"

    @promise(since="1.1")
    @pytest.mark.parametrize(("exists", "wanted"), [("one", "one/below"), ("one/below", "one")])
    async def test_a_conflicting_branch_is_named(
        self, trees: WorkspaceProvider, view: GitView, exists: str, wanted: str
    ) -> None:
        view.git("branch", exists)
        if not await trees.taken([wanted]):
            await created(trees, request(wanted))
            return
        with pytest.raises(BranchBlockedError) as caught:
            await created(trees, request(wanted))
        assert (caught.value.branch, caught.value.blocking) == (wanted, exists)
        assert view.worktrees() == {}
        assert view.branches().keys() == {"main", exists}

    async def test_an_existing_branch_that_does_not_exist_is_refused(
        self, trees: WorkspaceProvider
    ) -> None:
        with pytest.raises(BranchNotFoundError) as caught:
            await trees.plan(request("feature/one", existing=True))
        assert caught.value.branch == "feature/one"

    @pytest.mark.parametrize("base", ["no-such-base", "-x", ""])
    async def test_a_base_that_names_no_commit_is_refused(
        self, trees: WorkspaceProvider, base: str
    ) -> None:
        with pytest.raises(BaseNotFoundError) as caught:
            await trees.plan(request("feature/one", base=base))
        assert caught.value.base == base

    async def test_a_created_worktree_has_the_files_of_its_branch_and_no_work(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        plan = await created(trees, request("feature/one"))
        assert view.worktrees() == {plan.path: "feature/one"}
        assert view.git("rev-parse", "HEAD", at=plan.path) == plan.base_oid
        assert (Path(plan.path) / "tracked.txt").read_text() == "tracked\n"
        assert view.git("status", "--porcelain", "--ignored", at=plan.path) == ""

    async def test_a_new_branch_can_start_at_another_branch(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        first = await created(trees, request("feature/one"))
        commit = view.commit(first.path)
        second = await created(trees, request("feature/two", base="feature/one"))
        assert view.branches()["feature/two"] == commit
        assert Path(second.path, "work.txt").exists()

    async def test_a_new_branch_has_no_upstream(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        view.git("config", "branch.autoSetupMerge", "always")
        await created(trees, request("feature/one", base="main"))
        assert view.git("for-each-ref", "--format=%(upstream)", "refs/heads/feature/one") == ""

    async def test_an_existing_branch_gets_a_worktree(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        view.git("branch", "feature/one")
        before = view.branches()
        plan = await created(trees, request("feature/one", existing=True))
        assert not plan.creates_branch
        assert view.worktrees() == {plan.path: "feature/one"}
        assert view.branches() == before

    async def test_an_existing_branch_that_is_checked_out_is_refused(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        first = await created(trees, request("feature/one"))
        with pytest.raises(BranchInUseError) as caught:
            await created(trees, request("feature/one", existing=True))
        assert caught.value.branch == "feature/one"
        assert Path(caught.value.path) == Path(first.path)
        assert view.worktrees() == {first.path: "feature/one"}

    async def test_a_branch_that_was_created_after_the_plan_is_refused(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        plan = await trees.plan(request("feature/one"))
        view.git("branch", "feature/one")
        before = view.branches()
        with pytest.raises(BranchTakenError):
            await trees.create(plan)
        assert not Path(plan.path).exists()
        assert (view.worktrees(), view.branches()) == ({}, before)

    async def test_creating_does_not_change_the_main_worktree(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        (view.workspace / "staged.txt").write_text("staged")
        view.git("add", "staged.txt")
        (view.workspace / "tracked.txt").write_text("changed")
        (view.workspace / "new.txt").write_text("new")
        before = view.main_worktree()
        plan = await created(trees, request("feature/one"))
        assert view.main_worktree() == before
        assert (view.workspace / "tracked.txt").read_text() == "changed"
        assert (Path(plan.path) / "tracked.txt").read_text() == "tracked\n"

    async def test_creating_does_not_change_other_worktrees(
        self, trees: WorkspaceProvider, view: GitView
    ) -> None:
        first = await created(trees, request("feature/one"))
        Path(first.path, "new.txt").write_text("work")
        before = files_of(Path(first.path))
        second = await created(trees, request("feature/two"))
        assert not changed(before, files_of(Path(first.path)))
        assert view.worktrees() == {first.path: "feature/one", second.path: "feature/two"}

    async def test_git_variables_in_the_environment_are_ignored(
        self, trees: WorkspaceProvider, view: GitView, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = view.workspace.with_name("other")
        view.git("init", "-q", str(other))
        before = files_of(other)
        # A hook of that repository would start programs with these variables.
        monkeypatch.setenv("GIT_DIR", str(other / ".git"))
        monkeypatch.setenv("GIT_WORK_TREE", str(other))
        monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
        plan = await created(trees, request("feature/one"))
        assert view.worktrees() == {plan.path: "feature/one"}
        assert files_of(other) == before

    async def test_several_hosts_can_create_worktrees_concurrently(
        self, trees: WorkspaceProvider, opening: Opening, view: GitView
    ) -> None:
        asked = [request(f"feature/{number}") for number in range(4)]
        async with opening.open() as another, anyio.create_task_group() as tasks:
            for provider, each in zip((trees, another) * 2, asked, strict=True):
                tasks.start_soon(created, provider, each)
        assert sorted(filter(None, view.worktrees().values())) == [each.branch for each in asked]

    async def test_one_of_two_concurrent_creations_of_a_branch_succeeds(
        self, trees: WorkspaceProvider, opening: Opening, view: GitView
    ) -> None:
        refused: list[WorktreePlan] = []

        async def attempt(provider: WorkspaceProvider, plan: WorktreePlan) -> None:
            try:
                await provider.create(plan)
            except BranchTakenError:
                refused.append(plan)

        plans = [await trees.plan(request("feature/one")) for _ in range(2)]
        async with opening.open() as another, anyio.create_task_group() as tasks:
            for provider, plan in zip((trees, another), plans, strict=True):
                tasks.start_soon(attempt, provider, plan)
        (won,) = (plan for plan in plans if plan not in refused)
        assert view.worktrees() == {won.path: "feature/one"}
        assert [Path(plan.path).exists() for plan in plans].count(True) == 1
