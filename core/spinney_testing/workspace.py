"""What every workspace provider must do: see :class:`spinney.ports.WorkspaceProvider`."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from spinney.errors import (
    BaseNotFoundError,
    BranchInUseError,
    BranchNotFoundError,
    BranchTakenError,
    InvalidBranchError,
    RemovalBlockedError,
    WorkAtStakeError,
    WorktreeMissingError,
)
from spinney.model import AtStake, Session
from spinney.ports import Presence, WorkspaceProvider, WorktreePlan, WorktreeRequest
from spinney.providers import Role
from spinney_testing._base import Opening, ProviderConformance
from spinney_testing._samples import a_session


def request(branch: str, *, base: str | None = None, existing: bool = False) -> WorktreeRequest:
    """Return the request of a new session."""
    return WorktreeRequest(a_session().id, branch, base=base, existing=existing)


def session_of(plan: WorktreePlan) -> Session:
    """Return the session whose worktree ``plan`` describes."""
    return a_session(id=plan.session_id, branch=plan.branch, worktree_path=plan.path)


async def created(provider: WorkspaceProvider, request: WorktreeRequest) -> WorktreePlan:
    """Create what ``request`` asks for; return its plan."""
    plan = await provider.plan(request)
    await provider.create(plan)
    return plan


class WorkspaceConformance(ProviderConformance, suite="workspace"):
    """Tests of a workspace provider. Define the fixture ``provider``.

    Override ``workspace`` if it does not work in a git repository: it must hold one committed
    file ``tracked.txt``.
    """

    role = Role.WORKSPACE

    @pytest.fixture
    async def trees(self, opening: Opening) -> AsyncIterator[WorkspaceProvider]:
        """Return the workspace provider, opened."""
        async with opening.open() as provider:
            yield provider

    async def test_no_branch_is_taken_that_does_not_exist(self, trees: WorkspaceProvider) -> None:
        assert await trees.taken([]) == frozenset()
        assert await trees.taken(["one", "feature/two"]) == frozenset()

    async def test_a_created_branch_is_taken(self, trees: WorkspaceProvider) -> None:
        await created(trees, request("feature/one"))
        assert await trees.taken(["feature/one", "feature/two"]) == {"feature/one"}

    async def test_a_branch_that_is_not_taken_can_be_created(
        self, trees: WorkspaceProvider
    ) -> None:
        await created(trees, request("one"))
        for branch in ("one/below", "One", "on"):
            if branch not in await trees.taken([branch]):
                await created(trees, request(branch))

    async def test_a_plan_tells_what_will_be_created(self, trees: WorkspaceProvider) -> None:
        asked = request("feature/one")
        plan = await trees.plan(asked)
        assert (plan.session_id, plan.branch) == (asked.session_id, "feature/one")
        assert Path(plan.path).is_absolute()
        assert plan.creates_branch
        assert plan.base_oid

    async def test_planning_changes_nothing(
        self, trees: WorkspaceProvider, workspace: Path
    ) -> None:
        before = files_of(workspace)
        plan = await trees.plan(request("feature/one"))
        assert files_of(workspace) == before
        assert not Path(plan.path).exists()
        assert not await trees.taken(["feature/one"])

    @pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", "a\nb", "a/", ".a", "a.lock"])
    async def test_an_invalid_branch_is_refused(
        self, trees: WorkspaceProvider, branch: str
    ) -> None:
        with pytest.raises(InvalidBranchError) as caught:
            await trees.plan(request(branch))
        assert caught.value.branch == branch

    async def test_a_new_branch_that_exists_is_refused(self, trees: WorkspaceProvider) -> None:
        await created(trees, request("feature/one"))
        with pytest.raises(BranchTakenError) as caught:
            await trees.plan(request("feature/one"))
        assert caught.value.branch == "feature/one"

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

    async def test_a_created_worktree_holds_the_files_and_no_work(
        self, trees: WorkspaceProvider
    ) -> None:
        plan = await created(trees, request("feature/one"))
        session = session_of(plan)
        assert (Path(plan.path) / "tracked.txt").read_text() == "tracked\n"
        assert (await trees.locate([session]))[session.id].presence is Presence.PRESENT
        assert (await trees.locate([session]))[session.id].path == plan.path
        assert await trees.inspect(session) == AtStake()

    async def test_a_new_branch_can_start_at_another(self, trees: WorkspaceProvider) -> None:
        first = await created(trees, request("feature/one"))
        second = await created(trees, request("feature/two", base="feature/one"))
        assert second.base_oid == first.base_oid

    async def test_an_existing_branch_gets_a_worktree(self, trees: WorkspaceProvider) -> None:
        first = await created(trees, request("feature/one"))
        await trees.remove(session_of(first))
        second = await created(trees, request("feature/one", existing=True))
        assert not second.creates_branch
        assert (Path(second.path) / "tracked.txt").exists()

    async def test_an_existing_branch_that_is_checked_out_is_refused(
        self, trees: WorkspaceProvider
    ) -> None:
        first = await created(trees, request("feature/one"))
        with pytest.raises(BranchInUseError) as caught:
            await created(trees, request("feature/one", existing=True))
        assert caught.value.branch == "feature/one"
        assert Path(caught.value.path) == Path(first.path)

    async def test_a_branch_that_came_into_being_since_the_plan_is_refused(
        self, trees: WorkspaceProvider
    ) -> None:
        late = await trees.plan(request("feature/one"))
        early = await created(trees, request("feature/one"))
        with pytest.raises(BranchTakenError):
            await trees.create(late)
        assert not Path(late.path).exists()
        assert Path(early.path).exists()

    async def test_worktrees_are_created_at_once_by_several_hosts(
        self, trees: WorkspaceProvider, opening: Opening
    ) -> None:
        asked = [request(f"feature/{number}") for number in range(4)]
        async with opening.open() as another, anyio.create_task_group() as tasks:
            for provider, each in zip((trees, another) * 2, asked, strict=True):
                tasks.start_soon(created, provider, each)
        assert len(await trees.taken([each.branch for each in asked])) == 4

    async def test_of_two_that_create_one_branch_at_once_one_does(
        self, trees: WorkspaceProvider, opening: Opening
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
        assert len(refused) == 1
        assert [Path(plan.path).exists() for plan in plans].count(True) == 1

    async def test_a_cancelled_creation_leaves_nothing(self, trees: WorkspaceProvider) -> None:
        plan = await trees.plan(request("feature/one"))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await trees.create(plan)
        if scope.cancelled_caught:
            assert not Path(plan.path).exists()
            assert not await trees.taken(["feature/one"])

    async def test_discarding_removes_what_was_created(self, trees: WorkspaceProvider) -> None:
        plan = await created(trees, request("feature/one"))
        for _ in range(2):
            assert await trees.discard(plan) == AtStake()
            assert not Path(plan.path).exists()
            assert not await trees.taken(["feature/one"])

    async def test_discarding_what_never_happened_is_no_error(
        self, trees: WorkspaceProvider
    ) -> None:
        assert await trees.discard(await trees.plan(request("feature/one"))) == AtStake()

    async def test_discarding_removes_nothing_that_somebody_worked_in(
        self, trees: WorkspaceProvider
    ) -> None:
        plan = await created(trees, request("feature/one"))
        work = Path(plan.path) / "work.txt"
        work.write_text("precious")
        assert (await trees.discard(plan)).untracked == ("work.txt",)
        assert work.read_text() == "precious"
        assert await trees.taken(["feature/one"])

    async def test_discarding_keeps_a_branch_that_was_there_before(
        self, trees: WorkspaceProvider
    ) -> None:
        await trees.remove(session_of(await created(trees, request("feature/one"))))
        plan = await created(trees, request("feature/one", existing=True))
        await trees.discard(plan)
        assert not Path(plan.path).exists()
        assert await trees.taken(["feature/one"])

    async def test_a_late_discard_keeps_the_branch_of_another(
        self, trees: WorkspaceProvider
    ) -> None:
        late = await trees.plan(request("feature/one"))
        early = await created(trees, request("feature/one"))
        await trees.discard(late)
        assert Path(early.path).exists()
        assert await trees.taken(["feature/one"])

    async def test_a_missing_worktree_is_restored_from_its_branch(
        self, trees: WorkspaceProvider
    ) -> None:
        session = session_of(await created(trees, request("feature/one")))
        shutil.rmtree(session.worktree_path)
        assert (await trees.locate([session]))[session.id].presence is Presence.MISSING
        await trees.restore(session)
        assert (Path(session.worktree_path) / "tracked.txt").exists()
        assert (await trees.locate([session]))[session.id].presence is Presence.PRESENT

    async def test_a_worktree_without_its_branch_cannot_be_restored(
        self, trees: WorkspaceProvider
    ) -> None:
        session = session_of(await trees.plan(request("feature/never")))
        with pytest.raises(WorktreeMissingError) as caught:
            await trees.restore(session)
        assert caught.value.path == session.worktree_path
        assert not Path(session.worktree_path).exists()

    async def test_a_worktree_whose_branch_is_used_elsewhere_cannot_be_restored(
        self, trees: WorkspaceProvider
    ) -> None:
        session = session_of(await created(trees, request("feature/one")))
        await trees.remove(session)
        await created(trees, request("feature/one", existing=True))
        with pytest.raises(BranchInUseError):
            await trees.restore(session)
        assert not Path(session.worktree_path).exists()

    async def test_locating_answers_for_each_session(self, trees: WorkspaceProvider) -> None:
        here = session_of(await created(trees, request("feature/one")))
        gone = session_of(await trees.plan(request("feature/two")))
        found = await trees.locate([here, gone])
        assert {key: place.presence for key, place in found.items()} == {
            here.id: Presence.PRESENT,
            gone.id: Presence.MISSING,
        }
        assert found[gone.id].path == gone.worktree_path
        assert await trees.locate([]) == {}

    async def test_a_missing_worktree_has_nothing_at_stake(self, trees: WorkspaceProvider) -> None:
        session = session_of(await created(trees, request("feature/one")))
        shutil.rmtree(session.worktree_path)
        assert await trees.inspect(session) == AtStake()
        await trees.remove(session)

    async def test_removing_a_worktree_keeps_its_branch(self, trees: WorkspaceProvider) -> None:
        session = session_of(await created(trees, request("feature/one")))
        await trees.remove(session)
        assert not Path(session.worktree_path).exists()
        assert await trees.taken(["feature/one"])

    @pytest.mark.parametrize(
        ("name", "work"),
        [
            ("tracked.txt", AtStake(changed=("tracked.txt",))),
            ("new.txt", AtStake(untracked=("new.txt",))),
        ],
    )
    async def test_work_is_removed_only_by_force(
        self, trees: WorkspaceProvider, name: str, work: AtStake
    ) -> None:
        session = session_of(await created(trees, request("feature/one")))
        file = Path(session.worktree_path) / name
        file.write_text("precious")
        assert await trees.inspect(session) == work
        with pytest.raises(WorkAtStakeError) as caught:
            await trees.remove(session)
        assert caught.value.at_stake == work
        assert file.read_text() == "precious"
        await trees.remove(session, force=True)
        assert not Path(session.worktree_path).exists()

    async def test_the_workspace_itself_is_not_removed_even_by_force(
        self, trees: WorkspaceProvider, workspace: Path
    ) -> None:
        session = a_session(branch="main", worktree_path=str(workspace))
        assert (await trees.inspect(session)).blocked
        with pytest.raises(RemovalBlockedError):
            await trees.remove(session, force=True)
        assert (workspace / "tracked.txt").exists()

    async def test_a_sound_workspace_needs_no_repair(self, trees: WorkspaceProvider) -> None:
        await created(trees, request("feature/one"))
        assert await trees.repair() == ()

    async def test_a_moved_workspace_is_recognised_and_repaired(
        self, trees: WorkspaceProvider, opening: Opening, workspace: Path
    ) -> None:
        session = session_of(await created(trees, request("feature/one")))
        (Path(session.worktree_path) / "tracked.txt").write_text("precious")
        moved = workspace.rename(workspace.with_name("moved"))
        there = Path(session.worktree_path.replace(str(workspace), str(moved)))
        async with Opening(opening.spec, opening.options, moved).open() as provider:
            place = (await provider.locate([session]))[session.id]
            assert (place.presence, place.path) == (Presence.MOVED, str(there))
            assert await provider.repair()
            session = session.evolve(worktree_path=str(there))
            assert (await provider.locate([session]))[session.id].presence is Presence.PRESENT
            assert (await provider.inspect(session)).changed == ("tracked.txt",)


def files_of(directory: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file beneath ``directory``."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in directory.rglob("*")
        if not path.is_dir()
    }
