"""Locating worktrees, repairing those that were moved, and restoring those that are missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from frith.errors import WorkspaceError, WorktreeMissingError
from frith.model import Session
from frith.ports import Location, MarkerState, Presence
from frith_git import git
from frith_git.branches import HEADS, check_free, checked_out
from frith_git.create import add_worktree, check_out, no_longer_filling
from frith_git.recovery import read_marker_file
from frith_git.remove import take_away
from frith_git.repository import (
    GitFileError,
    Repository,
    Worktree,
    accessing,
    link_target,
    lock_reason,
    names_in,
    read_worktree,
)
from frith_git.status import head_commit
from frith_os import atomic


def locate(repository: Repository, session: Session) -> Location:
    """Return where the worktree of ``session`` is, without running git.

    A worktree whose checkout was interrupted is missing, so that :func:`restore` completes it.
    """
    recorded = session.worktree_path
    local = repository.path_of(os.path.basename(recorded))
    try:
        if repository.is_own(recorded):
            # During its removal a missing worktree counts as removed.
            removing = bool(session.details.removing)
            return Location(_presence(repository, local, unfilled_counts=removing), recorded)
        if link_target(local):
            return Location(Presence.MOVED, local)
        return Location(Presence.PRESENT if link_target(recorded) else Presence.MISSING, recorded)
    except (GitFileError, OSError):
        return Location(Presence.UNKNOWN, recorded)


def _presence(repository: Repository, path: str, *, unfilled_counts: bool) -> Presence:
    target = link_target(path)
    if target is None:
        _raise_if_unreadable(path)
        return Presence.MISSING
    worktree = read_worktree(os.path.realpath(target))
    place = os.path.realpath(worktree.path) if worktree and worktree.path else None
    if worktree and place == os.path.realpath(path):
        filled = unfilled_counts or worktree.is_filled()
        return Presence.PRESENT if filled else Presence.MISSING
    # The link of a worktree that was moved with its workspace names its old repository.
    moved = os.path.isdir(repository.admin_of(target))
    return Presence.MOVED if moved else Presence.MISSING


def _raise_if_unreadable(path: str) -> None:
    """Raise unless ``path`` exists, or its file system certainly has no such file."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        os.listdir(os.path.dirname(os.path.dirname(path)))


async def repair(repository: Repository) -> tuple[str, ...]:
    """Repair links and locks of the sessions' worktrees; return a line for each.

    The caller holds the repository's lock. `git worktree repair` is not used because in a copy
    of a workspace it takes over worktrees that belong to the original.
    """
    home = os.path.realpath(repository.home)
    lines = [line for name in names_in(home) for line in _relink(repository, f"{home}/{name}")]
    for worktree in list(repository.worktrees()):
        if worktree.lock is None and worktree.path and repository.is_own(worktree.path):
            for found in read_marker_file(worktree.admin).sessions:
                if found.state in (MarkerState.LIVE, MarkerState.CREATING):
                    await _lock(repository, worktree.path, found.session.id)
                    lines.append(f"locked the worktree {worktree.path!r} again")
                    break
    return tuple(lines)


async def _lock(repository: Repository, path: str, session_id: str) -> None:
    reason = lock_reason(session_id)
    await git.run(repository.workspace, "worktree", "lock", "--reason", reason, "--", path)


def _relink(repository: Repository, path: str) -> Iterator[str]:
    target = link_target(path)
    if target is None:
        worktree = repository.worktree_at(path)
        has_files = os.path.isdir(path) and names_in(path)
        if worktree and worktree.path and has_files and not os.path.lexists(f"{path}/.git"):
            _write_link(path, worktree.admin)
            yield f"linked {path!r} to its repository again"
        return
    admin = repository.admin_of(target)
    worktree = read_worktree(admin)
    if worktree is None or worktree.path is None or worktree.is_linked():
        return
    if os.path.basename(worktree.path) != os.path.basename(path):
        return
    _register(admin, path)
    _write_link(path, admin)
    yield f"moved the worktree {worktree.path!r} to {path!r}"


def _register(admin: str, path: str) -> None:
    _write(f"{admin}/gitdir", os.fsencode(path) + b"/.git\n")


def _write_link(path: str, admin: str) -> None:
    _write(f"{path}/.git", b"gitdir: " + os.fsencode(admin) + b"\n")


def _write(path: str, content: bytes) -> None:
    with accessing(path):
        atomic.replace(path, [content], mode=0o666)


async def restore(repository: Repository, session: Session, workers: int) -> None:
    """Re-create or complete the missing worktree of ``session``.

    The caller holds the repository's lock. What the administrative directory still has is kept:
    HEAD, even if it is not on the session's branch, staged changes, and the marker. Existing
    files are not touched.

    Raises:
        WorktreeMissingError: its branch is gone, something else is at its path, or a git that
            outlived its host still writes its files.
        BranchInUseError, GitError, GitFileError: it cannot be checked out.
    """
    path = repository.path_of(os.path.basename(session.worktree_path))
    if not repository.is_own(session.worktree_path):
        raise WorktreeMissingError(
            session.worktree_path, f"it is not in {repository.home!r}. Repair the workspace first."
        )
    worktree = repository.worktree_at(path)
    if link_target(path) and not (worktree and worktree.is_linked() and not worktree.is_filled()):
        return
    _refuse_other_content(path)
    worktree = worktree or _registered_before_a_move(repository, path)
    if worktree and worktree.path and await head_commit(repository, worktree.admin):
        async with no_longer_filling(worktree) as ended:
            if not ended:
                raise WorktreeMissingError(path, "git still writes its files. Try again later.")
            await _complete(repository, worktree, session, path, workers)
    elif not (worktree and worktree.is_linked() and checked_out(worktree.admin)):
        # Otherwise its branch has no commits, and thus no files to write.
        await _create_again(repository, worktree, session, path, workers)


def _refuse_other_content(path: str) -> None:
    if os.path.islink(path):
        reason = "a symbolic link is there"
    elif os.path.lexists(path) and not os.path.isdir(path):
        reason = "a file is there"
    elif os.path.isdir(f"{path}/.git"):
        reason = "another repository is there"
    else:
        return
    raise WorktreeMissingError(path, f"{reason}. Move it away first.")


def _registered_before_a_move(repository: Repository, path: str) -> Worktree | None:
    """Register at ``path`` a worktree that was missing already when its workspace was moved."""
    worktree = read_worktree(repository.admin_of(path))
    if worktree is None or worktree.path is None or os.path.lexists(worktree.path):
        return None
    if os.path.basename(worktree.path) != os.path.basename(path):
        return None
    _register(worktree.admin, os.path.realpath(path))
    return read_worktree(worktree.admin)


async def _complete(
    repository: Repository, worktree: Worktree, session: Session, path: str, workers: int
) -> None:
    for branch in checked_out(worktree.admin):
        check_free(repository, branch, path)
    with accessing(path):
        os.makedirs(path, exist_ok=True)
        was_empty = not set(os.listdir(path)) - {".git"}
    _remove_stale(f"{worktree.admin}/index.lock")
    # The link is missing, and git in the workspace has trusted the repository already.
    place = (f"--git-dir={worktree.admin}", f"--work-tree={path}")
    try:
        if was_empty and not worktree.is_filled():
            _write_link(path, worktree.admin)
            await check_out(repository, path, workers)
        else:
            # The link is written last, because with an index it marks a complete checkout.
            _remove_stale(f"{path}/.git")
            if not worktree.is_filled():
                await git.run(path, *place, "reset", "--quiet", "--", ".")
            # Exits with 1 if it left existing files alone.
            fill = ("checkout-index", "--all", "--index", "--quiet")
            await git.run(path, *place, *fill, ok=(0,) if was_empty else (0, 1))
            _write_link(path, worktree.admin)
    finally:
        if worktree.lock is None:
            await _lock(repository, path, session.id)


def _remove_stale(path: str) -> None:
    """Remove a file of a git process that has ended, as the lock that the caller holds proves."""
    with accessing(path), suppress(FileNotFoundError):
        os.unlink(path)


async def _create_again(
    repository: Repository, worktree: Worktree | None, session: Session, path: str, workers: int
) -> None:
    if not await git.resolve(repository.workspace, HEADS + session.branch):
        raise WorktreeMissingError(path, f"its branch {session.branch!r} is gone, too")
    check_free(repository, session.branch, path)
    if worktree:
        if names_in(path) == [".git"]:
            # Git refuses to remove a worktree whose link is there while its HEAD names nothing.
            _remove_stale(f"{path}/.git")
        await take_away(repository, worktree, path, force=False)
    await add_worktree(repository, session.id, path, session.branch)
    try:
        await check_out(repository, path, workers)
    except BaseException:
        # If this fails too, the worktree counts as missing, and the next attempt completes it.
        with suppress(WorkspaceError, OSError):
            if made := repository.worktree_at(path):
                await take_away(repository, made, path, force=True)
        raise
