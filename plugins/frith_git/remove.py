"""Removing a worktree: git does it, frith deletes only the files that git left."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress

from frith.logs import log
from frith_git import git
from frith_git.git import GitError
from frith_git.lock import locked
from frith_git.repository import Repository, Worktree, accessing, exists, names_in
from frith_git.threads import in_thread


async def take_away(repository: Repository, worktree: Worktree, path: str, *, force: bool) -> None:
    """Remove ``worktree``, whose directory is ``path`` or missing. The caller has inspected it.

    The worktree is removed once git no longer lists it. Files that are left are logged.

    Args:
        force: also if it has changes or submodules.

    Raises:
        GitError: git refuses; the worktree is locked as before.
        GitFileError: an unfinished worktree contains files that git did not write, or a file
            cannot be accessed.
    """
    _remove_unfinished_directory(worktree, path)
    if worktree.path is None:
        _remove_unfinished_admin(worktree.admin)
        return
    workspace = repository.workspace
    if worktree.lock is not None:
        await git.run(workspace, "worktree", "unlock", "--", path)
    try:
        options = ["--force"] if force else []
        await git.run(workspace, "worktree", "remove", *options, "--", path)
    except GitError:
        if exists(f"{worktree.admin}/gitdir"):
            if worktree.lock is not None:
                await git.run(workspace, "worktree", "lock", "--reason", worktree.lock, "--", path)
            raise
        # Git unregisters a worktree even if it could not delete all of its files: read-only
        # directories, or files created meanwhile, such as a marker.
        await in_thread(_delete_rest, path)
        async with locked(repository.markers_lock):
            await in_thread(_delete_rest, worktree.admin)


def _delete_rest(path: str) -> None:
    with suppress(OSError):
        for *_, directory in os.fwalk(path):
            os.fchmod(directory, stat.S_IRWXU)
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        log.warning("worktree_files_left", path=path)


def _remove_unfinished_directory(worktree: Worktree, path: str) -> None:
    """Remove a directory that is empty or contains only the link of an unfinished worktree.

    Git refuses to remove either.
    """
    with accessing(path), suppress(FileNotFoundError, NotADirectoryError):
        content = os.listdir(path)
        unfinished = not all(os.path.exists(f"{worktree.admin}/{f}") for f in ("HEAD", "commondir"))
        if content == [".git"] and unfinished and worktree.is_linked():
            os.unlink(f"{path}/.git")
            content = []
        if not content:
            os.rmdir(path)


def _remove_unfinished_admin(admin: str) -> None:
    """Remove the directory that `git worktree add` leaves if killed in its first step.

    It contains at most the lock; with any other file in it, this fails. Git never removes it.
    """
    with accessing(admin):
        if names_in(admin) == ["locked"]:
            os.unlink(f"{admin}/locked")
        os.rmdir(admin)
