"""Commits that would be lost with a worktree or with the git directory of a submodule."""

from __future__ import annotations

import os

from frith_git._files import read_bytes
from frith_git._git import Git
from frith_git._repository import Repository

_AT_MOST = "--max-count=20"
_OPERATIONS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "sequencer": "cherry-pick or revert",
    "BISECT_LOG": "bisect",
}


def operation_in(git_dir: str) -> str | None:
    """Return the operation that is in progress in the working tree of ``git_dir``, if any."""
    for name, operation in _OPERATIONS.items():
        if os.path.lexists(f"{git_dir}/{name}"):
            return operation
    return None


async def unreachable_commits(
    git: Git, repository: Repository, admin: str, head: str | None
) -> tuple[str, ...]:
    """Return commits that only the worktree of ``admin`` reaches, twenty at most.

    It reaches them by its HEAD, the commit ``head``, or by its own refs beneath
    ``refs/worktree``. If the branch of its HEAD was deleted (``head`` is ``None``), its reflog
    says where it was.
    """
    name = os.path.basename(admin)
    starts = [f"worktrees/{name}/{ref}" for ref in _own_refs(admin)]
    if commit := head or _last_in_reflog(admin):
        starts.append(commit)
    if not starts:
        return ()
    output = await git.read(
        repository.workspace,
        *("rev-list", _AT_MOST, *starts, "--not"),
        *("--exclude=refs/bisect/*", "--exclude=refs/worktree/*", "--single-worktree", "--all"),
        "--",
    )
    return tuple(output.decode().split())


async def unpushed_commits(git: Git, git_dir: str) -> tuple[str, ...]:
    """Return commits of HEAD, branches and stash that no remote-tracking branch reaches.

    Twenty at most. Tags do not count: cloning brings them too.
    """
    output = await git.read(
        git_dir,
        # Whatever its configuration says of a working tree, which may be gone.
        *(f"--git-dir={git_dir}", f"--work-tree={git_dir}", "rev-list", _AT_MOST),
        *("--exclude=refs/tags/*", "--exclude=refs/remotes/*", "--all", "--not", "--remotes", "--"),
    )
    return tuple(output.decode().split())


def _own_refs(admin: str) -> list[str]:
    root = f"{admin}/refs/worktree"
    return [
        os.path.relpath(os.path.join(directory, name), admin)
        for directory, _, names in os.walk(root)
        for name in names
    ]


def _last_in_reflog(admin: str) -> str | None:
    lines = (read_bytes(f"{admin}/logs/HEAD") or b"").splitlines()
    return lines[-1].split(b" ", 2)[1].decode() if lines else None
