"""Workspaces that stand in front of the built-in one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import anyio

from frith.errors import BranchBlockedError, BranchTakenError, RemovalBlockedError
from frith.model import AtStake, Session
from frith.ports import (
    Branch,
    ChangedFile,
    Diff,
    DiffScope,
    Location,
    Presence,
    WorkspaceProvider,
    WorktreePlan,
    WorktreeRequest,
)
from frith.providers import ProviderContext


class Wrapped(WorkspaceProvider):
    """Calls the wrapped provider."""

    def __init__(self, inner: WorkspaceProvider, context: ProviderContext) -> None:
        self.inner = inner
        self.workspace = context.workspace

    async def bind_store(self, identity: str, *, write: bool) -> None:
        await self.inner.bind_store(identity, write=write)

    async def taken(self, branches: Collection[str]) -> frozenset[str]:
        return await self.inner.taken(branches)

    async def plan(self, request: WorktreeRequest) -> WorktreePlan:
        return await self.inner.plan(request)

    async def create(self, plan: WorktreePlan) -> None:
        await self.inner.create(plan)

    async def discard(self, plan: WorktreePlan) -> AtStake:
        return await self.inner.discard(plan)

    async def restore(self, session: Session) -> None:
        await self.inner.restore(session)

    async def locate(self, sessions: Collection[Session]) -> dict[str, Location]:
        return await self.inner.locate(sessions)

    async def inspect(self, session: Session) -> AtStake:
        return await self.inner.inspect(session)

    async def remove(self, session: Session, *, force: bool = False) -> None:
        await self.inner.remove(session, force=force)

    async def repair(self) -> tuple[str, ...]:
        return await self.inner.repair()

    async def changed_files(self, session: Session, scope: DiffScope) -> tuple[ChangedFile, ...]:
        return await self.inner.changed_files(session, scope)

    async def diff(
        self, session: Session, scope: DiffScope, *, paths: Collection[str] = (), limit: int
    ) -> Diff:
        return await self.inner.diff(session, scope, paths=paths, limit=limit)

    async def branches(self) -> tuple[Branch, ...]:
        return await self.inner.branches()

    def git(self, *arguments: str, at: str | Path | None = None) -> None:
        """Run git in the workspace or ``at`` another place, whatever comes of it."""
        command = ["git", "-C", str(at or self.workspace), *arguments]
        subprocess.run(command, capture_output=True, check=False)


class HasAnyStore(Wrapped):
    async def bind_store(self, identity: str, *, write: bool) -> None:
        pass


class BindsByAsking(Wrapped):
    async def bind_store(self, identity: str, *, write: bool) -> None:
        await self.inner.bind_store(identity, write=True)


class NamesNoBlockingBranch(Wrapped):
    async def plan(self, request: WorktreeRequest) -> WorktreePlan:
        try:
            return await self.inner.plan(request)
        except BranchBlockedError as error:
            raise BranchTakenError(error.branch) from None


class PlansByDoing(Wrapped):
    async def plan(self, request: WorktreeRequest) -> WorktreePlan:
        plan = await self.inner.plan(request)
        await self.inner.create(plan)
        return plan


class CreatesAnEmptyShell(Wrapped):
    async def create(self, plan: WorktreePlan) -> None:
        path = Path(plan.path)
        path.mkdir(parents=True)
        (path / "tracked.txt").write_text("tracked\n")


class LeavesWhatWasCancelled(Wrapped):
    async def create(self, plan: WorktreePlan) -> None:
        self.git("branch", plan.branch, str(plan.base_oid))
        add = ["worktree", "add", "-q", plan.path, plan.branch]
        await anyio.run_process(["git", "-C", str(self.workspace), *add])


class FollowsGitDir(Wrapped):
    async def create(self, plan: WorktreePlan) -> None:
        add = ["worktree", "add", "-q", "-b", plan.branch, plan.path, str(plan.base_oid)]
        await anyio.run_process(["git", "-C", str(self.workspace), *add])


class TracksTheBase(Wrapped):
    async def create(self, plan: WorktreePlan) -> None:
        await self.inner.create(plan)
        self.git("branch", "-u", "main", plan.branch)


class Unstages(Wrapped):
    async def create(self, plan: WorktreePlan) -> None:
        await self.inner.create(plan)
        self.git("reset", "-q")


class Overlooks(Wrapped):
    """Does not see part of the work, and removes it."""

    def seen(self, found: AtStake) -> AtStake:
        raise NotImplementedError

    async def inspect(self, session: Session) -> AtStake:
        return self.seen(await self.inner.inspect(session))

    async def remove(self, session: Session, *, force: bool = False) -> None:
        seen = await self.inspect(session)
        await self.inner.remove(session, force=force or not seen)


class ForgetsIgnoredFiles(Overlooks):
    def seen(self, found: AtStake) -> AtStake:
        return replace(found, ignored=())


class ForgetsDetachedCommits(Overlooks):
    def seen(self, found: AtStake) -> AtStake:
        return replace(found, commits=())


class ForgetsOperations(Overlooks):
    def seen(self, found: AtStake) -> AtStake:
        return replace(found, operation=None, staged=())


class RemovesUnasked(Wrapped):
    async def remove(self, session: Session, *, force: bool = False) -> None:
        await self.inner.remove(session, force=True)


class RemovesOnOldNews(Wrapped):
    last: AtStake | None = None

    async def inspect(self, session: Session) -> AtStake:
        self.last = await self.inner.inspect(session)
        return self.last

    async def remove(self, session: Session, *, force: bool = False) -> None:
        was_clean = self.last is not None and not self.last
        await self.inner.remove(session, force=force or was_clean)


class ForcesPastWorktrees(Wrapped):
    async def remove(self, session: Session, *, force: bool = False) -> None:
        try:
            await self.inner.remove(session, force=force)
        except RemovalBlockedError:
            if not force or Path(session.worktree_path) == self.workspace:
                raise
            shutil.rmtree(session.worktree_path)


class DeletesWhatIsNoWorktree(Wrapped):
    async def remove(self, session: Session, *, force: bool = False) -> None:
        path = Path(session.worktree_path)
        if not force or (path / ".git").exists():
            await self.inner.remove(session, force=force)
        elif path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)


class DeletesTheBranch(Wrapped):
    async def remove(self, session: Session, *, force: bool = False) -> None:
        await self.inner.remove(session, force=force)
        self.git("branch", "-D", session.branch)


class WritesTheIndex(Wrapped):
    async def inspect(self, session: Session) -> AtStake:
        self.git("status", at=session.worktree_path)
        return await self.inner.inspect(session)


class DiscardsBlindly(Wrapped):
    async def discard(self, plan: WorktreePlan) -> AtStake:
        found = await self.inner.discard(plan)
        if found.blocked:
            shutil.rmtree(plan.path)
            return AtStake()
        return found


class DiscardsWork(Wrapped):
    async def discard(self, plan: WorktreePlan) -> AtStake:
        shutil.rmtree(plan.path, ignore_errors=True)
        return await self.inner.discard(plan)


class DiscardsCommits(Wrapped):
    async def discard(self, plan: WorktreePlan) -> AtStake:
        found = await self.inner.discard(plan)
        if not found.commits:
            return found
        self.git("worktree", "remove", "-f", "-f", plan.path)
        self.git("branch", "-D", plan.branch)
        return AtStake()


class DiscardsByName(Wrapped):
    async def discard(self, plan: WorktreePlan) -> AtStake:
        found = await self.inner.discard(plan)
        if not found and plan.creates_branch:
            self.git("update-ref", "-d", f"refs/heads/{plan.branch}", str(plan.base_oid))
        return found


class LeavesTheBranch(Wrapped):
    async def discard(self, plan: WorktreePlan) -> AtStake:
        return await self.inner.discard(replace(plan, creates_branch=False))


class SeesWhatIsGone(Wrapped):
    async def locate(self, sessions: Collection[Session]) -> dict[str, Location]:
        return {s.id: Location(Presence.PRESENT, s.worktree_path) for s in sessions}


class RestoresOver(Wrapped):
    async def restore(self, session: Session) -> None:
        if Path(session.worktree_path).exists():
            self.git("reset", "-q", "--hard", at=session.worktree_path)
        await self.inner.restore(session)


def is_content(_: object) -> object:
    async def careless(*_: object) -> str:
        return ""

    return careless


def follows_the_settings(_: object) -> object:
    return lambda _: ()
