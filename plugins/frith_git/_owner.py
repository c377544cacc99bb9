"""What root makes in another user's repository belongs to that user: see frith_unix.private.

Git makes files as the user who runs it, so they are given away afterwards. The repository is in
the user's hands, who may replace a directory by a symbolic link at any moment: everything is
reached through the descriptor of its directory, and no link is followed.
"""

from __future__ import annotations

import os
from contextlib import suppress

import anyio

from frith_git._repository import WORKTREES, Repository
from frith_unix import private


async def give_to_owner(repository: Repository, path: str, branch: str) -> None:
    """Give what was made for the worktree at ``path``, on ``branch``, to the repository's owner.

    Does nothing where this process is not root, or the repository is root's.
    """
    if private.is_root():
        await anyio.to_thread.run_sync(_give, repository, os.path.basename(path), branch)


def _give(repository: Repository, name: str, branch: str) -> None:
    for base, way in (
        (repository.workspace, f"{WORKTREES}/{name}"),
        (repository.common, f"worktrees/{name}"),
        (repository.common, f"refs/heads/{branch}"),
        (repository.common, f"logs/refs/heads/{branch}"),
        (repository.common, "info/exclude"),
    ):
        with suppress(OSError):  # there is none: packed refs, no reflogs
            _give_along(base, way)
    for tree in (repository.path_of(name), f"{repository.common}/worktrees/{name}"):
        with suppress(OSError):  # it was not made, or undone
            _give_within(tree)


def _give_along(base: str, way: str) -> None:
    """Give each of the directories on the ``way`` from ``base``, and what is at its end."""
    around = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in way.split("/"):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            found = os.open(name, flags, dir_fd=around)
            private.give(found, os.fstat(around))
            os.close(around)
            around = found
    finally:
        os.close(around)


def _give_within(tree: str) -> None:
    for _, directories, files, around in os.fwalk(tree):
        owner = os.fstat(around)
        for name in (*directories, *files):
            with suppress(OSError):  # gone meanwhile
                found = os.stat(name, dir_fd=around, follow_symlinks=False)
                if private.may_be_given(found, owner):
                    ids = owner.st_uid, owner.st_gid
                    os.chown(name, *ids, dir_fd=around, follow_symlinks=False)
