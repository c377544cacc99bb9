"""The stamp: a file in the workspace's git directory that names the store of its sessions.

One JSON object, readable by people::

    {"workspace": "…a random id…", "path": "/srv/app", "inode": 1234, "store": "json:…"}
"""

from __future__ import annotations

import json
import os
from uuid import uuid4

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError

from frith.errors import StoreMismatchError
from frith_git._files import accessing, read_bytes, replace
from frith_git._lock import exclusive
from frith_git._repository import Repository
from frith_unix import private


class Stamp(BaseModel):
    """Which workspace this is, and which store it has."""

    model_config = ConfigDict(frozen=True)

    workspace: str
    """A random id, which stays when the workspace is moved; a copy of it gets another."""
    path: str
    """Where the workspace was when this was written."""
    inode: int
    store: str
    """``SessionStore.identity``."""


async def bind(repository: Repository, store: str, *, write: bool) -> None:
    """See :meth:`frith.ports.WorkspaceProvider.bind_store`."""
    if _is_bound(repository, store) or not write:
        return
    async with exclusive(repository.markers_lock):
        if not _is_bound(repository, store):
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_write, repository, store)


def _is_bound(repository: Repository, store: str) -> bool:
    """Tell whether the stamp is as it should be.

    Raises:
        StoreMismatchError: it names another store.
    """
    stamp = _read(repository.stamp)
    if stamp is None:
        return False
    if stamp.store != store:
        raise StoreMismatchError(repository.workspace, stamp.store, store, repository.stamp)
    return (stamp.path, stamp.inode) == _place(repository)


def _read(file: str) -> Stamp | None:
    """Return what the stamp ``file`` says; ``None`` if there is none, or nothing can be made of it.

    Raises:
        GitFileError: it cannot be read.
    """
    content = read_bytes(file)
    if content is None:
        return None
    try:
        return Stamp.model_validate(json.loads(content))
    except (ValueError, ValidationError):
        return None


def _write(repository: Repository, store: str) -> None:
    with accessing(repository.stamp):
        private.make_directory(os.path.dirname(repository.stamp))
        content = _renewed(repository, store).model_dump_json().encode() + b"\n"
        replace(repository.stamp, content, is_private=True)


def _renewed(repository: Repository, store: str) -> Stamp:
    path, inode = _place(repository)
    old = _read(repository.stamp)
    keeps_id = old is not None and not _is_copy(old, inode)
    return Stamp(
        workspace=old.workspace if old and keeps_id else str(uuid4()),
        path=path,
        inode=inode,
        store=store,
    )


def _is_copy(stamp: Stamp, inode: int) -> bool:
    """Tell whether the workspace that ``stamp`` was written in is another one, which still exists.

    A workspace that was moved to another file system has another inode, too, but its old path is
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
