"""The branch that was created for a session: known by its reflog, deleted only as it was made."""

from __future__ import annotations

from frith.ports import WorktreePlan
from frith_git._git import Git
from frith_git._refs import HEADS
from frith_git._repository import Repository


async def create_branch(git: Git, repository: Repository, plan: WorktreePlan) -> None:
    """Create the branch of ``plan``, with a reflog that says for whom.

    Raises:
        GitError: it exists, or cannot be created.
    """
    # An empty old value: git refuses if the branch has come into being meanwhile.
    ref = (HEADS + plan.branch, plan.base_oid or "", "")
    await git.run(repository.workspace, "update-ref", "--create-reflog", "-m", _note(plan), *ref)


async def delete_branch(git: Git, repository: Repository, plan: WorktreePlan) -> str | None:
    """Delete the branch that was created for ``plan``; leave alone one that was not.

    Returns:
        The commit it is at if it has moved since; then it was not deleted.

    Raises:
        GitError: it has moved just now.
    """
    if not plan.creates_branch or plan.base_oid is None:
        return None
    ref = HEADS + plan.branch
    commit = await git.read(
        repository.workspace, "rev-parse", "--quiet", "--verify", ref, ok=(0, 1)
    )
    if not commit:
        return None
    notes = await git.read(
        repository.workspace,
        *("log", "--walk-reflogs", "--no-show-signature", "--format=%gs", ref, "--"),
    )
    history = notes.decode(errors="replace").splitlines()
    if history[-1:] != [_note(plan)]:
        return None
    if len(history) > 1:
        return commit.decode().strip()
    await git.run(repository.workspace, "update-ref", "-d", ref, plan.base_oid)
    return None


def _note(plan: WorktreePlan) -> str:
    return f"frith: created for session {plan.session_id}"
