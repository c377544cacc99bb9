"""An inter-process lock on a file that can be waited for, fairly, without blocking the loop."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

import anyio

from frith.errors import WorkspaceError
from frith_git._files import accessing
from frith_git._repository import OWN_DIRECTORY
from frith_unix import holding, private

_PATIENCE = 60.0
"""Seconds that a wait may take."""
_GRACE = 0.5
"""Seconds within which a lock that is free is had."""
_OWN_TURNS = 10
"""So many times as long while this very process holds the lock: its tasks take turns."""

held: ContextVar[tuple[int, ...]] = ContextVar("held", default=())
"""Descriptors of the locks that the present task holds, for the processes it starts to inherit:
should this process die, the lock stays until they have ended, too."""


class GitLockedError(WorkspaceError):
    """Another process holds a lock on the worktrees or markers of the repository too long.

    Attributes:
        path: the lock file.
        holder: what is known of the process, such as ``Process 4242 (git)``.
    """

    code = "GIT_LOCKED"

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(
            f"{holder} has held the lock {path!r} for {_PATIENCE:g} seconds. Let it finish, or "
            "end it; then try again."
        )
        self.path = path
        self.holder = holder


def exclusive(path: Path) -> AbstractAsyncContextManager[None]:
    """Hold the lock on the file ``path``, which is created, and its directory, if missing.

    Nobody but its owner can open the file. The kernel releases the lock when this process and
    those that inherited it have ended (flock(2)). The file is never deleted; if somebody else
    deletes it, the lock is taken anew on the file that took its place.

    Raises:
        GitLockedError: another process did not release it in time.
        GitFileError: the file cannot be opened, or the file system has no locks.
    """
    return _holding(path, fcntl.LOCK_EX)


def shared(path: Path) -> AbstractAsyncContextManager[None]:
    """As :func:`exclusive`, beside others that share the lock."""
    return _holding(path, fcntl.LOCK_SH)


@asynccontextmanager
async def _holding(path: Path, kind: int) -> AsyncIterator[None]:
    with accessing(str(path)):
        descriptor = await _acquire(path, kind)
    token = held.set((*held.get(), descriptor))
    try:
        yield
    finally:
        held.reset(token)
        with suppress(OSError):  # closed, and unlocked, whatever close(2) says
            os.close(descriptor)


async def _acquire(path: Path, kind: int) -> int:
    while True:
        descriptor = _opened(path)
        try:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                await _wait(descriptor, kind, path)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(path: Path) -> int:
    directory = path.parent
    if directory.name == OWN_DIRECTORY or not directory.exists():  # else it is git's
        private.make_directory(str(directory))
    return private.open_file(str(path), os.O_RDWR)


async def _wait(descriptor: int, kind: int, path: Path) -> None:
    """Wait in a thread of its own until the open file behind ``descriptor`` is locked.

    The thread has its own duplicate: the lock stays with the caller's descriptor, and goes at
    once if the caller, cancelled or out of patience, has closed that meanwhile.
    """
    failure: list[OSError] = []
    receiver, sender = socket.socketpair()
    duplicate = os.dup(descriptor)

    def lock() -> None:
        try:
            fcntl.flock(duplicate, kind)
        except OSError as error:
            failure.append(error)
        finally:
            os.close(duplicate)
            sender.close()

    threading.Thread(target=lock, name="frith-git-lock", daemon=True).start()
    with receiver:
        await _in_time(receiver, path)
    if failure:
        raise failure[0]


async def _in_time(receiver: socket.socket, path: Path) -> None:
    for _ in range(_OWN_TURNS):
        with anyio.move_on_after(_PATIENCE) as waiting:
            await anyio.wait_readable(receiver)
        if not waiting.cancelled_caught:
            return
        if os.getpid() not in await anyio.to_thread.run_sync(holding.holders, str(path)):
            break
    with anyio.move_on_after(_GRACE) as waiting:
        await anyio.wait_readable(receiver)  # it may have been released before that look
    if not waiting.cancelled_caught:
        return
    holder = await anyio.to_thread.run_sync(holding.described, str(path))
    raise GitLockedError(str(path), holder)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
