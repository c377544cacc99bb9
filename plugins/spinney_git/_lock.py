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

from spinney_git._files import accessing

_LOCK_MODE = 0o666

held: ContextVar[tuple[int, ...]] = ContextVar("held", default=())
"""Descriptors of the locks that the present task holds, for the processes it starts to inherit:
should this process die, the lock stays until they have ended, too."""


def exclusive(path: Path) -> AbstractAsyncContextManager[None]:
    """Hold the lock on the file ``path``, which is created, and its directory, if missing.

    The kernel releases it when this process and those that inherited it have ended (flock(2)).
    The file is never deleted; if somebody else deletes it, the lock is taken anew on the file
    that took its place.

    Raises:
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
        path.parent.mkdir(exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, _LOCK_MODE)
        try:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                await _wait(descriptor, kind)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


async def _wait(descriptor: int, kind: int) -> None:
    """Wait in a thread of its own until the open file behind ``descriptor`` is locked.

    The thread has its own duplicate: the lock stays with the caller's descriptor, and goes at
    once if the caller, cancelled, has closed that meanwhile.
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

    threading.Thread(target=lock, name="spinney-git-lock", daemon=True).start()
    with receiver:
        await anyio.wait_readable(receiver)
    if failure:
        raise failure[0]


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
