"""The stamp: a file in the workspace's git directory that names the store of its sessions.

One JSON object::

    {"workspace": "…a random id…", "path": "/srv/app", "inode": 1234, "store": "json:…"}
"""

from __future__ import annotations

import os
from uuid import uuid4

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError

from frith.errors import StoreMismatchError
from frith_git.lock import locked
from frith_git.repository import Repository, accessing, read_bytes
from frith_os import atomic, private


class Stamp(BaseModel):
    """Identity of a workspace and of its store."""

    model_config = ConfigDict(frozen=True)

    workspace: str
    """A random id, kept when the workspace is moved. A copy of the workspace gets a new one."""
    path: str
    """Path of the workspace when the stamp was written."""
    inode: int
    store: str
    """``SessionStore.identity``."""


async def bind(repository: Repository, store: str, *, write: bool) -> None:
    """See :meth:`frith.ports.WorkspaceProvider.bind_store`."""
    if _is_bound(repository, store) or not write:
        return
    async with locked(repository.markers_lock):
        if not _is_bound(repository, store):
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_write, repository, store)


def _is_bound(repository: Repository, store: str) -> bool:
    """Return whether the stamp names ``store`` and the workspace as it is now.

    Raises:
        StoreMismatchError: the stamp names another store.
    """
    stamp = _read(repository.stamp)
    if stamp is None:
        return False
    if stamp.store != store:
        raise StoreMismatchError(repository.workspace, stamp.store, store, repository.stamp)
    return (stamp.path, stamp.inode) == _place(repository)


def _read(file: str) -> Stamp | None:
    """Return the stamp ``file``, ``None`` if it is missing or invalid."""
    content = read_bytes(file)
    try:
        return None if content is None else Stamp.model_validate_json(content)
    except ValidationError:
        return None


def _write(repository: Repository, store: str) -> None:
    old = _read(repository.stamp)
    path, inode = _place(repository)
    workspace = str(uuid4()) if old is None or _is_copy(old, inode) else old.workspace
    stamp = Stamp(workspace=workspace, path=path, inode=inode, store=store)
    content = stamp.model_dump_json().encode() + b"\n"
    with accessing(repository.stamp):
        private.make_directory(os.path.dirname(repository.stamp))
        atomic.replace(repository.stamp, [content], keep_access=False)


def _is_copy(stamp: Stamp, inode: int) -> bool:
    """Return whether the workspace in which ``stamp`` was written still exists elsewhere.

    A workspace that was moved to another file system has a new inode too, but its old path is
    gone.
    """
    if stamp.inode == inode:
        return False
    try:
        return os.stat(stamp.path).st_ino == stamp.inode
    except OSError:
        return False


def _place(repository: Repository) -> tuple[str, int]:
    with accessing(repository.workspace):
        return os.path.realpath(repository.workspace), os.stat(repository.workspace).st_ino
