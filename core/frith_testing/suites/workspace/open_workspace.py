"""The base class of the promises of workspace providers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from frith.model import Session
from frith.ports import WorkspaceProvider, WorktreePlan, WorktreeRequest
from frith.providers import Role
from frith_testing.harness.base import Opening, ProviderConformance
from frith_testing.harness.samples import a_session
from frith_testing.suites.workspace.git_view import GitView


class OpenWorkspaceConformance(ProviderConformance, suite="workspace"):
    """Opens the provider, and shows the repository by the git command."""

    role = Role.WORKSPACE

    @pytest.fixture
    async def trees(self, opening: Opening) -> AsyncIterator[WorkspaceProvider]:
        """Return the workspace provider, opened."""
        async with opening.open() as provider:
            yield provider

    @pytest.fixture
    def operate(self) -> Callable[[WorkspaceProvider], Awaitable[None]]:
        """Return a function that calls every operation of an opened provider."""

        async def operate(trees: WorkspaceProvider) -> None:
            await trees.bind_store("a-store", write=True)
            await trees.taken(["feature/one"])
            session = session_of(await created(trees, request("feature/one")))
            await trees.locate([session])
            await trees.restore(session)
            await trees.inspect(session)
            await trees.remove(session)
            await trees.discard(await created(trees, request("feature/two")))
            await trees.repair()

        return operate

    @pytest.fixture
    def view(self, workspace: Path) -> GitView:
        """Return the repository as the git command shows it."""
        return GitView(workspace)

    @pytest.fixture
    async def session(self, trees: WorkspaceProvider) -> Session:
        """Return a session with a new worktree on the branch ``feature/one``."""
        return session_of(await created(trees, request("feature/one")))


def request(branch: str, *, base: str | None = None, existing: bool = False) -> WorktreeRequest:
    """Return a request for a new session."""
    return WorktreeRequest(a_session().id, branch, base=base, existing=existing)


def session_of(plan: WorktreePlan) -> Session:
    """Return the session whose worktree ``plan`` describes."""
    return a_session(id=plan.session_id, branch=plan.branch, worktree_path=plan.path)


async def created(provider: WorkspaceProvider, request: WorktreeRequest) -> WorktreePlan:
    """Create what ``request`` asks for; return its plan."""
    plan = await provider.plan(request)
    await provider.create(plan)
    return plan
