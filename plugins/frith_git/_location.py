"""Where worktrees are, and mending those that were moved or are missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from frith.errors import WorkspaceError, WorktreeMissingError
from frith.model import Session
from frith.ports import Location, MarkerState, Presence
from frith_git._branches import check_free
from frith_git._creation import check_out, lock_reason, no_longer_filling
from frith_git._files import GitFileError, accessing, names_in, read_bytes, replace
from frith_git._git import Git
from frith_git._marker_file import read_marker_file
from frith_git._refs import HEADS
from frith_git._removal import take_away
from frith_git._repository import Repository, Worktree, link_target, read_worktree


def locate(repository: Repository, session: Session) -> Location:
    """Tell where the worktree of ``session`` is. Runs no git; a few system calls.

    One whose files git was stopped from writing is missing, for :func:`restore` to finish.
    """
    recorded = session.worktree_path
    local = repository.path_of(os.path.basename(recorded))
    try:
        if repository.is_own(recorded):
            # While it is being removed, a missing one passes for removed.
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
    if worktree and worktree.is_linked() and _same_place(worktree.path, path):
        filled = unfilled_counts or worktree.is_filled()
        return Presence.PRESENT if filled else Presence.MISSING
    return Presence.MOVED if _admin_by_name(repository, target) else Presence.MISSING


def _raise_if_unreadable(path: str) -> None:
    """Let a failure to look pass for no answer: only "no such file" means that it is gone."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        os.listdir(os.path.dirname(os.path.dirname(path)))


def _same_place(one: str | None, other: str) -> bool:
    return one is not None and os.path.realpath(one) == os.path.realpath(other)


def _admin_by_name(repository: Repository, target: str) -> str | None:
    """Return the administrative directory of ours that a broken link must once have meant."""
    admin = f"{repository.common}/worktrees/{os.path.basename(target)}"
    return admin if os.path.isdir(admin) else None


async def repair(git: Git, repository: Repository) -> Iterator[str]:
    """Mend links and locks of the sessions' worktrees. Whoever calls holds the lock.

    Not by `git worktree repair`: in a copy of a workspace it would take over worktrees that
    belong to the original.
    """
    lines = [line for path in _directories(repository) for line in _relink(repository, path)]
    for worktree in list(repository.worktrees()):
        if worktree.lock is None and worktree.path and repository.is_own(worktree.path):
            for found in read_marker_file(worktree.admin).sessions:
                if found.state in (MarkerState.LIVE, MarkerState.CREATING):
                    reason = lock_reason(found.session_id)
                    await git.run(
                        repository.workspace,
                        *("worktree", "lock", "--reason", reason, "--", worktree.path),
                    )
                    lines.append(f"locked the worktree {worktree.path!r} again")
                    break
    return iter(lines)


def _directories(repository: Repository) -> list[str]:
    home = os.path.realpath(repository.home)
    with accessing(home):
        try:
            names = sorted(os.listdir(home))
        except FileNotFoundError:
            return []
    return [path for name in names if os.path.isdir(path := f"{home}/{name}")]


def _relink(repository: Repository, path: str) -> Iterator[str]:
    target = link_target(path)
    if target is None:
        worktree = repository.worktree_at(path)
        if worktree and worktree.path and not os.path.lexists(f"{path}/.git") and names_in(path):
            _write_link(path, worktree.admin)
            yield f"linked {path!r} to its repository again"
        return
    admin = _admin_by_name(repository, target)
    worktree = read_worktree(admin) if admin else None
    if admin is None or worktree is None or worktree.path is None:
        return
    if os.path.realpath(target) == admin and worktree.path == path:
        return
    if worktree.is_linked() or os.path.basename(worktree.path) != os.path.basename(path):
        return
    _register(admin, path)
    _write_link(path, admin)
    yield f"moved the worktree {worktree.path!r} to {path!r}"


def _register(admin: str, path: str) -> None:
    gitdir = f"{admin}/gitdir"
    with accessing(gitdir):
        replace(gitdir, os.fsencode(path) + b"/.git\n")


def _write_link(path: str, admin: str) -> None:
    with accessing(f"{path}/.git"):
        replace(f"{path}/.git", b"gitdir: " + os.fsencode(admin) + b"\n")


async def restore(git: Git, repository: Repository, session: Session, workers: int) -> None:
    """Re-create the missing worktree of ``session``, or finish it. Whoever calls holds the lock.

    What its administrative directory still keeps is kept: HEAD, which may be elsewhere than on
    the session's branch, what is staged, and the marker. Files that are there are not touched.

    Raises:
        WorktreeMissingError: its branch is gone, something else lies at its path, or a git that
            outlived its host still writes its files.
        BranchInUseError: its branch is checked out elsewhere.
        GitError: git failed.
        GitFileError: a file cannot be accessed.
    """
    path = repository.path_of(os.path.basename(session.worktree_path))
    if not repository.is_own(session.worktree_path):
        raise WorktreeMissingError(
            session.worktree_path, f"it is not in {repository.home!r}. Repair the workspace first."
        )
    worktree = repository.worktree_at(path)
    if link_target(path) and not (worktree and worktree.is_linked() and not worktree.is_filled()):
        return
    _refuse_what_is_no_worktree(path)
    worktree = worktree or _registered_before_a_move(repository, path)
    if worktree and worktree.path and await _has_commit(git, repository, worktree):
        async with no_longer_filling(worktree) as ended:
            if not ended:
                raise WorktreeMissingError(path, "git still writes its files. Try again later.")
            await _revive(git, repository, worktree, session, path, workers)
    elif not (worktree and worktree.is_linked() and _head(worktree).startswith(b"ref: ")):
        # A branch without commits has no files to write.
        await _create_again(git, repository, worktree, session, path, workers)


def _refuse_what_is_no_worktree(path: str) -> None:
    """Keep a checkout out of what somebody else has put at ``path``."""
    if os.path.islink(path):
        reason = "a symbolic link lies there"
    elif os.path.lexists(path) and not os.path.isdir(path):
        reason = "a file lies there"
    elif os.path.isdir(f"{path}/.git"):
        reason = "another repository lies there"
    else:
        return
    raise WorktreeMissingError(path, f"{reason}. Move it away first.")


def _registered_before_a_move(repository: Repository, path: str) -> Worktree | None:
    """Register anew at ``path`` the worktree that had vanished before its workspace was moved."""
    admin = f"{repository.common}/worktrees/{os.path.basename(path)}"
    worktree = read_worktree(admin)
    if worktree is None or worktree.path is None or os.path.lexists(worktree.path):
        return None
    if os.path.basename(worktree.path) != os.path.basename(path):
        return None
    _register(admin, os.path.realpath(path))
    return read_worktree(admin)


def _head(worktree: Worktree) -> bytes:
    return read_bytes(f"{worktree.admin}/HEAD") or b""


async def _has_commit(git: Git, repository: Repository, worktree: Worktree) -> bool:
    ref = f"worktrees/{os.path.basename(worktree.admin)}/HEAD"
    args = ("rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}")
    return bool(await git.read(repository.workspace, *args, ok=(0, 1)))


async def _revive(
    git: Git,
    repository: Repository,
    worktree: Worktree,
    session: Session,
    path: str,
    workers: int,
) -> None:
    head = _head(worktree)
    if head.startswith(b"ref: refs/heads/"):
        branch = os.fsdecode(head.removeprefix(b"ref: refs/heads/").rstrip(b"\n"))
        check_free(repository, branch, path)
    with accessing(path):
        os.makedirs(path, exist_ok=True)
        was_empty = not set(os.listdir(path)) - {".git"}
    _remove_stale(f"{worktree.admin}/index.lock")
    place = (f"--git-dir={worktree.admin}", f"--work-tree={path}")
    try:
        if was_empty and not worktree.is_filled():
            _write_link(path, worktree.admin)
            await check_out(git, repository, path, workers)
        else:
            # The link comes last: with an index, it tells that the files are complete.
            _remove_stale(f"{path}/.git")
            if not worktree.is_filled():
                await git.run(path, *place, "reset", "--quiet", "--", ".")
            # Ends with 1 if it left files alone that are there already.
            fill = ("checkout-index", "--all", "--index", "--quiet")
            await git.run(path, *place, *fill, ok=(0,) if was_empty else (0, 1))
            _write_link(path, worktree.admin)
    finally:
        if worktree.lock is None:
            reason = lock_reason(session.id)
            await git.run(repository.workspace, "worktree", "lock", "--reason", reason, "--", path)


def _remove_stale(path: str) -> None:
    """Remove what a git left that has ended: it would hold the lock that we hold otherwise."""
    with accessing(path), suppress(FileNotFoundError):
        os.unlink(path)


async def _create_again(
    git: Git,
    repository: Repository,
    worktree: Worktree | None,
    session: Session,
    path: str,
    workers: int,
) -> None:
    ref = HEADS + session.branch
    if not await git.read(repository.workspace, "rev-parse", "--quiet", "--verify", ref, ok=(0, 1)):
        raise WorktreeMissingError(path, f"its branch {session.branch!r} is gone, too")
    check_free(repository, session.branch, path)
    if worktree:
        if os.path.isdir(path) and names_in(path) == [".git"]:
            # Its HEAD names nothing: with the link there, git refuses to remove it.
            _remove_stale(f"{path}/.git")
        await take_away(git, repository, worktree, path, force=False)
    await git.run(
        repository.workspace,
        *("worktree", "add", "--quiet", "--no-checkout", "--lock"),
        *("--reason", lock_reason(session.id), "--", path, session.branch),
    )
    try:
        await check_out(git, repository, path, workers)
    except BaseException:
        # What cannot be taken away counts as missing, and is finished by the next attempt.
        with suppress(WorkspaceError, OSError):
            if made := repository.worktree_at(path):
                await take_away(git, repository, made, path, force=True)
        raise
