"""Adding a worktree, writing its files, and running the `post-checkout` hook (githooks(5))."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import anyio

from frith.logs import log
from frith.model import SessionId
from frith_git.git import Git, clean_environment, run_process
from frith_git.lock import locked
from frith_git.repository import Repository, Worktree, lock_reason

_MANY_FILES = 1000
_PATIENCE = 30.0
"""Seconds to wait for a checkout of another process."""
_TAIL = 2000
"""Bytes of a hook's output that are logged."""


def filling_lock(worktree: Worktree) -> Path:
    """Return the lock file held while files are written, also by a git that outlives its host."""
    return Path(worktree.admin, "frith-filling.lock")


@asynccontextmanager
async def no_longer_filling(worktree: Worktree) -> AsyncIterator[bool]:
    """Wait until no process fills ``worktree``; yield ``False`` if one still does.

    The host may be dead while the git process that it started still writes files.
    """
    async with AsyncExitStack() as stack:
        with anyio.move_on_after(_PATIENCE) as waiting:
            if filling_lock(worktree).exists():
                await stack.enter_async_context(locked(filling_lock(worktree)))
        yield not waiting.cancelled_caught


async def add_worktree(
    git: Git, repository: Repository, session_id: SessionId, path: str, branch: str
) -> None:
    """Create the locked worktree of a session without files. The caller holds the lock.

    Concurrent calls of `git worktree add` fail; without a checkout the call is short.
    """
    await git.run(
        repository.workspace,
        *("worktree", "add", "--quiet", "--no-checkout", "--lock"),
        *("--reason", lock_reason(session_id), "--", path, branch),
    )


async def check_out(git: Git, repository: Repository, path: str, workers: int) -> None:
    """Write the files of HEAD into the worktree at ``path``, which has none yet.

    Like `git worktree add`: sparse if the worktree is, and without submodules.
    """
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


async def find_post_checkout(git: Git, path: str) -> str | None:
    """Return the hook of the worktree at ``path``, ``None`` if it has none. One git process."""
    output = await git.read(path, "rev-parse", "--git-path", "hooks")
    directory = os.fsdecode(output.removesuffix(b"\n"))
    hook = os.path.join(path, directory, "post-checkout")
    return hook if os.path.isfile(hook) and os.access(hook, os.X_OK) else None


async def run_post_checkout(hook: str, path: str, commit: str) -> None:
    """Run ``hook`` in the worktree at ``path``, created at ``commit``, as `git worktree add` does.

    As in git, a failing hook is logged and the worktree stays.
    """
    # A file, not a pipe: processes that the hook leaves running would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        try:
            code = await _run([hook, "0" * len(commit), commit, "1"], path, output)
        except OSError as error:
            log.warning("post_checkout_hook_failed", path=path, output=str(error))
            return
        if code:
            output.seek(max(0, output.tell() - _TAIL))
            tail = output.read().decode(errors="backslashreplace")
            log.warning("post_checkout_hook_failed", path=path, exit_code=code, output=tail)


async def _run(argv: list[str], path: str, output: IO[bytes]) -> int:
    env = clean_environment()
    try:
        code, _, _ = await run_process(argv, cwd=path, env=env, output=output)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without an interpreter line.
        shell = ["/bin/sh", *argv]
        code, _, _ = await run_process(shell, cwd=path, env=env, output=output)
    return code
