"""Undoing a creation after a crash, as far as it had come."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace

from frith.model import AtStake
from frith.ports import WorktreePlan
from frith_git._creation import STAMP, lock_reason, no_longer_filling
from frith_git._git import Git
from frith_git._inspection import Findings, Inspector, without_what_was_there
from frith_git._own_branch import delete_branch
from frith_git._removal import take_away
from frith_git._repository import Repository, Worktree


async def discard(
    git: Git, repository: Repository, inspector: Inspector, plan: WorktreePlan
) -> AtStake:
    """Undo the creation of ``plan``. Whoever calls holds the lock.

    Returns:
        What is at stake; if anything, nothing was removed.
    """
    begun = repository.worktree_at(plan.path)
    async with no_longer_filling(begun) if begun else nullcontext():
        return await _discard(git, repository, inspector, plan)


async def _discard(
    git: Git, repository: Repository, inspector: Inspector, plan: WorktreePlan
) -> AtStake:
    findings = await inspector.inspect(plan.session_id, plan.path)
    worktree = findings.worktree
    if worktree is None and not os.path.lexists(plan.path):
        return await _discard_branch(git, repository, plan)
    if worktree is None or not _is_made_by(worktree, plan):
        reason = f"{plan.path!r} was not made for session {plan.session_id}"
        return AtStake(blocked=(*findings.at_stake.blocked, reason))
    at_stake = without_what_was_there(findings, f"{worktree.admin}/{STAMP}")
    at_stake = replace(at_stake, commits=at_stake.commits or _moved(findings, plan))
    if at_stake:
        return at_stake
    await take_away(git, repository, worktree, plan.path, force=True)
    return await _discard_branch(git, repository, plan)


def _is_made_by(worktree: Worktree, plan: WorktreePlan) -> bool:
    """Tell by its lock; one without lock or path was broken off before git wrote either."""
    if worktree.lock is None:
        return worktree.path is None
    return worktree.lock == lock_reason(plan.session_id)


def _moved(findings: Findings, plan: WorktreePlan) -> tuple[str, ...]:
    """Return the commit of HEAD if somebody has moved it away from where the plan put it."""
    status = findings.status
    if status is None or (status.commit, status.branch) == (plan.base_oid, plan.branch):
        return ()
    return (status.commit or "HEAD",)


async def _discard_branch(git: Git, repository: Repository, plan: WorktreePlan) -> AtStake:
    commit = await delete_branch(git, repository, plan)
    return AtStake(commits=(commit,) if commit else ())
