"""Locks between processes that change the worktrees or markers of a repository."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path

import anyio

from frith.errors import WorkspaceError
from frith_git.repository import OWN_DIRECTORY, accessing
from frith_git.threads import in_thread
from frith_os.locks import FileLock, Waiting, describe_holders, holders

_PATIENCE = 60.0
"""Seconds to wait for another process."""
_GRACE = 0.5
"""Seconds within which a free lock is acquired."""
_OWN_TURNS = 10
"""Tasks of this process take turns: a multiple of ``_PATIENCE`` to wait while it holds the lock."""

held: ContextVar[tuple[int, ...]] = ContextVar("held", default=())
"""Descriptors of the locks that the current task holds. The git processes that it starts inherit
them: if this process dies, the locks stay until those processes have ended."""


class GitLockedError(WorkspaceError):
    """Another process has held a lock on worktrees or markers of the repository for too long.

    Attributes:
        path: the lock file.
        holder: a description of the process, such as ``Process 4242 (git)``.
    """

    code = "GIT_LOCKED"

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(
            f"{holder} has held the lock {path!r} for {_PATIENCE:g} seconds. Let it finish, or "
            "end it; then try again."
        )
        self.path = path
        self.holder = holder


@asynccontextmanager
async def locked(path: Path, *, shared: bool = False) -> AsyncIterator[None]:
    """Hold the lock on the file ``path``, which is created if missing.

    Args:
        path: the lock file.
        shared: whether others may share the lock.

    Raises:
        GitLockedError: another process did not release the lock in time.
        GitFileError: the file cannot be opened, or the file system has no locks.
    """
    # A git directory that was deleted is not created anew by a lock in it.
    is_own = path.parent.name == OWN_DIRECTORY
    lock = FileLock(str(path), own_directory=is_own, parents=False)
    with accessing(str(path)):
        try:
            waiting = None if lock.try_acquire(shared=shared) else Waiting(lock, shared=shared)
        except BaseException:
            lock.close()
            raise
        if waiting is not None:
            with waiting:
                await _wait(waiting, lock.path)
    token = held.set((*held.get(), lock.fd))
    try:
        yield
    finally:
        held.reset(token)
        lock.close()


async def _wait(waiting: Waiting, path: str) -> None:
    turns = 1
    while not await _is_readable(waiting.socket, _PATIENCE):
        is_own = os.getpid() in await in_thread(holders, path)
        if is_own and turns < _OWN_TURNS:
            turns += 1
            continue
        # The lock may have been released before its holders were read.
        if await _is_readable(waiting.socket, _GRACE):
            break
        holder = await in_thread(describe_holders, path)
        raise GitLockedError(path, holder)
    waiting.result()


async def _is_readable(receiver: socket.socket, seconds: float) -> bool:
    with anyio.move_on_after(seconds):
        await anyio.wait_readable(receiver)
        return True
    return False
