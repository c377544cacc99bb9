"""Creating a worktree, and undoing it: in the call itself, or later after a crash.

Four git processes: `update-ref` (for a new branch), `worktree add`, then `read-tree` beside
`rev-parse`; and the `post-checkout` hook (githooks(5)).
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote

import anyio

from frith.errors import InvalidWorkspaceError, WorkspaceError, WorktreeRedirectedError
from frith.logs import log
from frith.model import AtStake, SessionId
from frith.ports import WorktreePlan
from frith_git import GitWorkspaceOptions, git
from frith_git.branches import check_free, create_branch, delete_branch
from frith_git.git import GitError, clean_environment, run_process, together
from frith_git.inspect import Findings, Inspector, without_unchanged_since
from frith_git.lock import locked
from frith_git.remove import take_away
from frith_git.repository import (
    GitFileError,
    Repository,
    Worktree,
    accessing,
    lock_reason,
    read_bytes,
)
from frith_os import atomic, private

_CREATED = "frith-created"
"""File in the administrative directory whose change time is the end of the creation."""
_MANY_FILES = 1000
_PATIENCE = 30.0
"""Seconds to wait for a checkout of another process."""
_UNDO_SECONDS = 60.0
_TAIL = 2000
"""Bytes of a hook's output that are logged."""


async def create(
    repository: Repository,
    plan: WorktreePlan,
    options: GitWorkspaceOptions,
    checkouts: anyio.CapacityLimiter,
) -> None:
    """Create the worktree of ``plan``, and its branch; if that fails, undo it.

    Args:
        checkouts: limits how many worktrees are filled at the same time.

    Raises:
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
                    await create_branch(repository, plan)
        async with locked(repository.lock):
            # Short, and hard to clean up if interrupted.
            with anyio.CancelScope(shield=True):
                _refuse_existing(repository, plan.path)
                if not plan.creates_branch:
                    check_free(repository, plan.branch, plan.path)
                _exclude(repository, options.excluded)
                await add_worktree(repository, plan.session_id, plan.path, plan.branch)
        async with checkouts:
            await _fill(repository, plan, plan.base_oid, options.checkout_workers)
    except BaseException:
        await _undo(repository, plan)
        raise


def _refuse_existing(repository: Repository, path: str) -> None:
    if os.path.lexists(path) or repository.worktree_at(path):
        raise WorkspaceError(f"{path!r} exists already. Move it away, then try again.")


def _exclude(repository: Repository, lines: tuple[str, ...]) -> None:
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


async def add_worktree(
    repository: Repository, session_id: SessionId, path: str, branch: str
) -> None:
    """Create the locked worktree of a session without files. The caller holds the lock.

    Concurrent calls of `git worktree add` fail; without a checkout the call is short.
    """
    add = ("worktree", "add", "--quiet", "--no-checkout", "--lock", "--reason")
    await git.run(repository.workspace, *add, lock_reason(session_id), "--", path, branch)


async def _fill(repository: Repository, plan: WorktreePlan, commit: str, workers: int) -> None:
    """Write the files, run the hook, and record that the creation is complete."""
    worktree = repository.worktree_at(plan.path)
    if worktree is None:
        raise WorkspaceError(f"{plan.path!r} was removed while it was being created.")
    filling = _filling_lock(worktree)

    async def write() -> None:
        async with locked(filling):
            await check_out(repository, plan.path, workers)

    async def find_hook() -> str | None:
        if reason := await redirection(repository, plan.path):
            raise WorktreeRedirectedError(plan.path, reason)
        return await _find_post_checkout(plan.path)

    _, hook = await together(write, find_hook)
    if hook:
        await run_post_checkout(hook, plan.path, commit)
    created = f"{worktree.admin}/{_CREATED}"
    with accessing(created):
        os.close(private.open_file(created, os.O_WRONLY | os.O_TRUNC))


def _filling_lock(worktree: Worktree) -> Path:
    """Return the lock file held while files are written, also by a git that outlives its host."""
    return Path(worktree.admin, "frith-filling.lock")


@asynccontextmanager
async def no_longer_filling(worktree: Worktree) -> AsyncIterator[bool]:
    """Wait until no process fills ``worktree``; yield ``False`` if one still does.

    The host may be dead while the git process that it started still writes files.
    """
    lock = _filling_lock(worktree)
    async with AsyncExitStack() as stack:
        with anyio.move_on_after(_PATIENCE) as waiting:
            if lock.exists():
                await stack.enter_async_context(locked(lock))
        yield not waiting.cancelled_caught


async def check_out(repository: Repository, path: str, workers: int) -> None:
    """Write the files of HEAD into the worktree at ``path``, which has none yet.

    Like `git worktree add`: sparse if the worktree is, and without submodules. With several
    ``workers``, 0 for one per processor, as many processes write a large worktree.
    """
    workers = workers or os.cpu_count() or 1
    parallel: list[str] = []
    if workers > 1 and _has_many_files(repository):
        parallel = ["-c", f"checkout.workers={workers}"]
    read_tree = ("read-tree", "--reset", "-u", "--no-recurse-submodules", "HEAD")
    await git.run(path, *parallel, *read_tree, in_tree=True)


def _has_many_files(repository: Repository) -> bool:
    """Estimate by the number of entries in the header of the main worktree's index."""
    with suppress(OSError), open(f"{repository.common}/index", "rb") as index:
        header = index.read(12)
        return header[:4] == b"DIRC" and int.from_bytes(header[8:12], "big") >= _MANY_FILES
    return False


async def _find_post_checkout(path: str) -> str | None:
    output = await git.read(path, "rev-parse", "--git-path", "hooks/post-checkout")
    hook = os.path.join(path, os.fsdecode(output.removesuffix(b"\n")))
    return hook if os.path.isfile(hook) and os.access(hook, os.X_OK) else None


async def run_post_checkout(hook: str, path: str, commit: str) -> None:
    """Run ``hook`` in the worktree at ``path``, created at ``commit``, as `git worktree add` does.

    As in git, a failing hook is logged and the worktree stays.
    """
    argv = [hook, "0" * len(commit), commit, "1"]
    # A file, not a pipe: processes that the hook leaves running would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        run = partial(run_process, cwd=path, env=clean_environment(), output=output)
        try:
            try:
                code, *_ = await run(argv)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                # A script without an interpreter line.
                code, *_ = await run(["/bin/sh", *argv])
        except OSError as error:
            log.warning("post_checkout_hook_failed", path=path, output=str(error))
            return
        if code:
            output.seek(max(0, output.tell() - _TAIL))
            tail = output.read().decode(errors="backslashreplace")
            log.warning("post_checkout_hook_failed", path=path, exit_code=code, output=tail)


async def redirection(repository: Repository, path: str) -> str:
    """Return why git in the worktree at ``path`` works on another one; empty if it does not.

    With ``extensions.worktreeConfig`` git applies ``core.worktree`` and ``core.bare`` of the
    common configuration to linked worktrees too (git-worktree(1), "Configuration file"). Then
    ``git checkout`` in the worktree overwrites files of the main worktree, or git fails.

    Runs a git process only if the extension is set. Git looks for it only in the file itself,
    not in included ones (``check_repository_format``).
    """
    with suppress(GitFileError):  # git reports it better
        if b"worktreeconfig" not in (read_bytes(f"{repository.common}/config") or b"").lower():
            return ""
    try:
        output = await git.read(path, "rev-parse", "--show-toplevel")
    except GitError as error:
        return await _explained(repository, error.stderr.strip())
    top = os.fsdecode(output.removesuffix(b"\n"))
    if os.path.realpath(top) == os.path.realpath(path):
        return ""
    return await _explained(repository, f"its top level is {top!r}")


async def _explained(repository: Repository, reason: str) -> str:
    lines = []
    config = f"{repository.common}/config"
    for name in ("core.worktree", "core.bare"):
        output = await git.read(
            repository.workspace, "config", "--file", config, "--get", name, ok=(0, 1)
        )
        value = os.fsdecode(output.removesuffix(b"\n"))
        if value not in ("", "false"):
            command = f"git --git-dir={quote(repository.common)} config"
            lines += [f"`{command} --worktree {name} {quote(value)}`"]
            lines += [f"`{command} --local --unset {name}`"]
    remedy = f" Move the setting into the main worktree: {', then '.join(lines)}." if lines else ""
    return f"git in it would change files elsewhere ({reason}).{remedy}"


async def _undo(repository: Repository, plan: WorktreePlan) -> None:
    """Remove everything that the creation made; log what cannot be removed."""
    with anyio.move_on_after(_UNDO_SECONDS, shield=True):
        try:
            async with locked(repository.lock):
                worktree = repository.worktree_at(plan.path)
                if worktree and worktree.lock == lock_reason(plan.session_id):
                    await take_away(repository, worktree, plan.path, force=True)
                await delete_branch(repository, plan)
        except Exception as error:
            log.error("creation_not_undone", path=plan.path, error=str(error))


async def discard(repository: Repository, inspector: Inspector, plan: WorktreePlan) -> AtStake:
    """Undo the creation of ``plan``, however far it came. The caller holds the repository's lock.

    Returns:
        The work at stake; if there is any, nothing was removed.
    """
    begun = repository.worktree_at(plan.path)
    async with no_longer_filling(begun) if begun else nullcontext():
        findings = await inspector.inspect(plan.session_id, plan.path)
        worktree = findings.worktree
        if worktree is None and not os.path.lexists(plan.path):
            return AtStake(commits=await delete_branch(repository, plan))
        if worktree is None or not _is_made_by(worktree, plan):
            reason = f"{plan.path!r} was not created for session {plan.session_id}"
            return AtStake(blocked=(*findings.at_stake.blocked, reason))
        at_stake = without_unchanged_since(f"{worktree.admin}/{_CREATED}", findings)
        at_stake = replace(at_stake, commits=at_stake.commits or _moved_head(findings, plan))
        if at_stake:
            return at_stake
        await take_away(repository, worktree, plan.path, force=True)
        return AtStake(commits=await delete_branch(repository, plan))


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
