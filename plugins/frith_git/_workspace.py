"""The workspace provider `git`: each session has a worktree of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio

from frith.errors import RemovalBlockedError, WorkAtStakeError
from frith.model import AtStake, Session, SessionId
from frith.ports import Location, Presence, WorkspaceProvider, WorktreePlan, WorktreeRequest
from frith_git import GitWorkspaceOptions, _branches, _discarding, _location, _stamp
from frith_git._creation import Creation
from frith_git._git import Git
from frith_git._inspection import Inspector
from frith_git._lock import exclusive
from frith_git._owner import give_to_owner
from frith_git._removal import take_away
from frith_git._repository import Repository
from frith_git._together import together
from frith_git._top_level import elsewhere


class GitWorkspace(WorkspaceProvider):
    """Worktrees in ``{workspace}/.worktrees/{session id}``, locked while sessions live in them."""

    def __init__(self, options: GitWorkspaceOptions, workspace: Path) -> None:
        self.git = Git()
        self._options = options
        self._workspace = workspace
        self._places = anyio.CapacityLimiter(options.concurrency)
        self._workers = options.checkout_workers or os.cpu_count() or 1

    async def bind_store(self, identity: str, *, write: bool) -> None:
        await _stamp.bind(self._repository(), identity, write=write)

    async def taken(self, branches: Collection[str]) -> frozenset[str]:
        return await _branches.taken(self.git, self._repository(), branches)

    async def plan(self, request: WorktreeRequest) -> WorktreePlan:
        """At most one git process, as a rule none. A repository without commits is refused."""
        repository = self._repository()
        return WorktreePlan(
            session_id=request.session_id,
            path=repository.path_of(request.session_id),
            branch=request.branch,
            creates_branch=not request.existing,
            base_oid=await _branches.starting_point(self.git, repository, request),
        )

    async def create(self, plan: WorktreePlan) -> None:
        """Four git processes for a new branch, three for an existing one, and the hook."""
        repository = self._repository()
        creation = Creation(self.git, repository, plan)
        try:
            await creation.begin(self._options.excluded)
            async with self._places:
                await creation.fill(self._workers)
        except BaseException:
            await creation.undo()
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await give_to_owner(repository, plan.path, plan.branch)

    async def discard(self, plan: WorktreePlan) -> AtStake:
        async with self._changing() as repository:
            inspector = self._inspector(repository)
            at_stake = await _discarding.discard(self.git, repository, inspector, plan)
            await give_to_owner(repository, plan.path, plan.branch)
            return at_stake

    async def restore(self, session: Session) -> None:
        async with self._changing() as repository:
            await _location.restore(self.git, repository, session, self._workers)
            await give_to_owner(repository, session.worktree_path, session.branch)

    async def locate(self, sessions: Collection[Session]) -> dict[SessionId, Location]:
        repository = self._repository()
        found = await anyio.to_thread.run_sync(
            lambda: {session.id: _location.locate(repository, session) for session in sessions}
        )

        async def judge(session_id: SessionId, path: str) -> None:
            if reason := await elsewhere(self.git, repository, path):
                found[session_id] = Location(Presence.REDIRECTED, path, reason)

        present = [each for each in found.items() if each[1].presence is Presence.PRESENT]
        await together(*(partial(judge, session_id, where.path) for session_id, where in present))
        return found

    async def inspect(self, session: Session) -> AtStake:
        inspector = self._inspector(self._repository())
        return (await inspector.inspect(session.id, session.worktree_path)).at_stake

    async def remove(self, session: Session, *, force: bool = False) -> None:
        path = session.worktree_path
        async with self._changing() as repository:
            findings = await self._inspector(repository).inspect(session.id, path)
            if findings.at_stake.blocked:
                raise RemovalBlockedError(path, findings.at_stake.blocked)
            if findings.at_stake and not force:
                raise WorkAtStakeError(path, findings.at_stake)
            if findings.worktree:
                force = force or findings.has_modules
                await take_away(self.git, repository, findings.worktree, path, force=force)

    async def repair(self) -> tuple[str, ...]:
        async with self._changing() as repository:
            return tuple(await _location.repair(self.git, repository))

    def _repository(self) -> Repository:
        """Look anew each time: the workspace may have been moved or replaced."""
        return Repository.find(self._workspace)

    def _inspector(self, repository: Repository) -> Inspector:
        return Inspector(self.git, repository, self._options.disposable)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Repository]:
        """Hold the repository's lock; what is begun is finished, also if cancelled meanwhile."""
        repository = self._repository()
        async with exclusive(repository.lock):
            with anyio.CancelScope(shield=True):
                yield repository


@asynccontextmanager
async def open_workspace(
    options: GitWorkspaceOptions, workspace: Path
) -> AsyncIterator[GitWorkspace]:
    """Open the workspace provider `git` on ``workspace``."""
    yield GitWorkspace(options, workspace)
