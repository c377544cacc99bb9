"""Creating a worktree, and undoing it: in the call itself, or later after a crash.

Four git processes: `update-ref` (for a new branch), `worktree add`, then `read-tree` beside
`rev-parse`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace

import anyio

from frith.errors import (
    BranchBlockedError,
    BranchTakenError,
    InvalidWorkspaceError,
    WorkspaceError,
    WorktreeRedirectedError,
)
from frith.logs import log
from frith.model import AtStake
from frith.ports import WorktreePlan
from frith_git.branches import check_free, colliding_branch, create_branch, delete_branch
from frith_git.checkout import (
    add_worktree,
    check_out,
    filling_lock,
    find_post_checkout,
    no_longer_filling,
    run_post_checkout,
)
from frith_git.git import Git, GitError, together
from frith_git.inspect import Findings, Inspector, without_unchanged_since
from frith_git.lock import locked
from frith_git.remove import take_away
from frith_git.repository import Repository, Worktree, accessing, lock_reason, read_bytes
from frith_git.status import redirection
from frith_os import atomic, private

_CREATED = "frith-created"
"""File in the administrative directory whose change time is the end of the creation."""
_UNDO_SECONDS = 60.0


async def create(
    git: Git,
    repository: Repository,
    plan: WorktreePlan,
    *,
    excluded: Iterable[str],
    checkouts: anyio.CapacityLimiter,
    workers: int,
) -> None:
    """Create the worktree of ``plan``, and its branch; if that fails, undo it.

    Args:
        excluded: lines for ``info/exclude``.
        checkouts: limits how many worktrees are filled at the same time.
        workers: processes that fill one worktree.

    Raises:
        BranchTakenError, BranchBlockedError, BranchInUseError, WorktreeRedirectedError,
        WorkspaceError: see :meth:`~frith.ports.WorkspaceProvider.create`.
    """
    if plan.base_oid is None:
        reason = "it has no commits. Make a first commit."
        raise InvalidWorkspaceError(repository.workspace, reason)
    _refuse_existing(repository, plan.path)
    try:
        if plan.creates_branch:
            # A shared lock suffices, because git creates a branch atomically. Without a lock, a
            # git that outlives its host could create the branch after the creation was undone.
            async with locked(repository.lock, shared=True):
                with anyio.CancelScope(shield=True):
                    await _create_branch(git, repository, plan)
        async with locked(repository.lock):
            # Short, and hard to clean up if interrupted.
            with anyio.CancelScope(shield=True):
                _refuse_existing(repository, plan.path)
                if not plan.creates_branch:
                    check_free(repository, plan.branch, plan.path)
                _exclude(repository, excluded)
                await add_worktree(git, repository, plan.session_id, plan.path, plan.branch)
        async with checkouts:
            await _fill(git, repository, plan, workers)
    except BaseException:
        await _undo(git, repository, plan)
        raise


def _refuse_existing(repository: Repository, path: str) -> None:
    if os.path.lexists(path) or repository.worktree_at(path):
        raise WorkspaceError(f"{path!r} exists already. Move it away, then try again.")


async def _create_branch(git: Git, repository: Repository, plan: WorktreePlan) -> None:
    try:
        await create_branch(git, repository, plan)
    except GitError:
        name = await colliding_branch(git, repository, plan.branch)
        if name is None:
            raise
        if name == plan.branch:
            raise BranchTakenError(plan.branch) from None
        raise BranchBlockedError(plan.branch, name) from None


async def _fill(git: Git, repository: Repository, plan: WorktreePlan, workers: int) -> None:
    """Write the files, run the hook, and record that the creation is complete."""
    worktree = repository.worktree_at(plan.path)
    if worktree is None:
        raise WorkspaceError(f"{plan.path!r} was removed while it was being created.")
    filling = filling_lock(worktree)

    async def write() -> None:
        async with locked(filling):
            await check_out(git, repository, plan.path, workers)

    async def find_hook() -> str | None:
        if reason := await redirection(git, repository, plan.path):
            raise WorktreeRedirectedError(plan.path, reason)
        return await find_post_checkout(git, plan.path)

    _, hook = await together(write, find_hook)
    if hook:
        await run_post_checkout(hook, plan.path, plan.base_oid or "")
    created = f"{worktree.admin}/{_CREATED}"
    with accessing(created):
        os.close(private.open_file(created, os.O_WRONLY | os.O_TRUNC))


async def _undo(git: Git, repository: Repository, plan: WorktreePlan) -> None:
    """Remove everything that the creation made; log what cannot be removed."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(_UNDO_SECONDS, shield=True):
        try:
            async with locked(repository.lock):
                worktree = repository.worktree_at(plan.path)
                if worktree and worktree.lock == lock_reason(plan.session_id):
                    await take_away(git, repository, worktree, plan.path, force=True)
                await delete_branch(git, repository, plan)
        except Exception as error:
            log.error("creation_not_undone", path=plan.path, error=str(error))


def _exclude(repository: Repository, lines: Iterable[str]) -> None:
    """Add ``lines`` to ``info/exclude`` (gitignore(5)) unless they are in it."""
    path = os.path.realpath(f"{repository.common}/info/exclude")
    content = read_bytes(path) or b""
    present = content.splitlines()
    missing = [line.encode() for line in lines if line.encode() not in present]
    if missing:
        if content and not content.endswith(b"\n"):
            content += b"\n"
        with accessing(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            atomic.replace(path, [content, *(line + b"\n" for line in missing)], mode=0o666)


async def discard(
    git: Git, repository: Repository, inspector: Inspector, plan: WorktreePlan
) -> AtStake:
    """Undo the creation of ``plan``, however far it came. The caller holds the repository's lock.

    Returns:
        The work at stake; if there is any, nothing was removed.
    """
    begun = repository.worktree_at(plan.path)
    async with no_longer_filling(begun) if begun else nullcontext():
        findings = await inspector.inspect(plan.session_id, plan.path)
        worktree = findings.worktree
        if worktree is None and not os.path.lexists(plan.path):
            return await _discard_branch(git, repository, plan)
        if worktree is None or not _is_made_by(worktree, plan):
            reason = f"{plan.path!r} was not created for session {plan.session_id}"
            return AtStake(blocked=(*findings.at_stake.blocked, reason))
        at_stake = without_unchanged_since(f"{worktree.admin}/{_CREATED}", findings)
        at_stake = replace(at_stake, commits=at_stake.commits or _moved_head(findings, plan))
        if at_stake:
            return at_stake
        await take_away(git, repository, worktree, plan.path, force=True)
        return await _discard_branch(git, repository, plan)


def _is_made_by(worktree: Worktree, plan: WorktreePlan) -> bool:
    """Return whether its lock names the session, or git was stopped before it wrote the lock."""
    if worktree.lock is None:
        return worktree.path is None
    return worktree.lock == lock_reason(plan.session_id)


def _moved_head(findings: Findings, plan: WorktreePlan) -> tuple[str, ...]:
    """Return the commit of HEAD if it is not at the plan's commit and branch."""
    status = findings.status
    if status is None or (status.commit, status.branch) == (plan.base_oid, plan.branch):
        return ()
    return (status.commit or "HEAD",)


async def _discard_branch(git: Git, repository: Repository, plan: WorktreePlan) -> AtStake:
    commit = await delete_branch(git, repository, plan)
    return AtStake(commits=(commit,) if commit else ())
