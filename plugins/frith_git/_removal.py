"""Taking a worktree away: by git; only what git gave up on deleting is deleted here."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress

import anyio

from frith.logs import log
from frith_git._files import accessing
from frith_git._git import Git, GitError
from frith_git._lock import exclusive
from frith_git._repository import Repository, Worktree


async def take_away(
    git: Git, repository: Repository, worktree: Worktree, path: str, *, force: bool
) -> None:
    """Remove ``worktree``, which lies at ``path`` or is missing there. Whoever calls has looked.

    It is removed once git has dropped it, although files may be left; that is logged.

    Args:
        force: also if git sees changes, or submodules in it.

    Raises:
        GitError: git refuses; the worktree is locked as before.
        GitFileError: an unfinished worktree holds something that git did not put there, or it
            cannot be told what git did.
    """
    _remove_unfinished_directory(worktree, path)
    if worktree.path is None:
        _remove_unfinished(worktree)
        return
    workspace = repository.workspace
    if worktree.lock is not None:
        await git.run(workspace, "worktree", "unlock", "--", path)
    try:
        options = ["--force"] if force else []
        await git.run(workspace, "worktree", "remove", *options, "--", path)
    except GitError:
        if _is_registered(worktree):
            if worktree.lock is not None:
                await git.run(workspace, "worktree", "lock", "--reason", worktree.lock, "--", path)
            raise
        # Git drops a worktree for good even if it could not delete all of its files: what is not
        # there to be deleted, or comes into being meanwhile, such as a marker.
        await anyio.to_thread.run_sync(_delete_rest, path)
        async with exclusive(repository.markers_lock):
            await anyio.to_thread.run_sync(_delete_rest, worktree.admin)


def _is_registered(worktree: Worktree) -> bool:
    gitdir = f"{worktree.admin}/gitdir"
    with accessing(gitdir):
        try:
            os.lstat(gitdir)
        except FileNotFoundError:
            return False
    return True


def _delete_rest(path: str) -> None:
    """Delete what git left of the worktree at ``path``, read-only directories too."""
    with suppress(OSError):
        for *_, directory in os.fwalk(path):
            os.fchmod(directory, stat.S_IRWXU)
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        log.warning("worktree_files_left", path=path)


def _remove_unfinished_directory(worktree: Worktree, path: str) -> None:
    """Remove a directory that is empty, or holds no more than the link of a worktree half made.

    Git refuses to remove either.
    """
    with accessing(path), suppress(FileNotFoundError, NotADirectoryError):
        content = os.listdir(path)
        half_made = not all(os.path.exists(f"{worktree.admin}/{f}") for f in ("HEAD", "commondir"))
        if content == [".git"] and half_made and worktree.is_linked():
            os.unlink(f"{path}/.git")
            content = []
        if not content:
            os.rmdir(path)


def _remove_unfinished(worktree: Worktree) -> None:
    """Remove what `git worktree add` leaves if killed in its first step, which git never does.

    That is a directory with the lock alone; with anything else in it, this fails.
    """
    with accessing(worktree.admin):
        if sorted(os.listdir(worktree.admin)) == ["locked"]:
            os.unlink(f"{worktree.admin}/locked")
        os.rmdir(worktree.admin)
