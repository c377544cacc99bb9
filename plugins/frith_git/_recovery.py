"""The recovery provider `git`: sessions remembered in the worktrees they live in."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path

import anyio

from frith.errors import WorkspaceError
from frith.model import Session, SessionId
from frith.ports import Marker, MarkerState, SessionRecovery
from frith_git import _marker_file as markers
from frith_git._files import accessing, read_bytes
from frith_git._files import replace as replace_file
from frith_git._lock import exclusive
from frith_git._marker_file import Remembered, Trust, read_marker_file
from frith_git._rebuild import rebuild
from frith_git._repository import Repository, link_target
from frith_unix import private

_GOING = (MarkerState.REMOVING, MarkerState.RELEASED)


class NewerMarkerError(WorkspaceError):
    """A later version of frith wrote the marker of a worktree; it was not touched."""

    code = "MARKER_VERSION"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r} was written by a newer frith. Upgrade; it was not touched.")
        self.path = path


class GitRecovery(SessionRecovery):
    """Keeps a marker in the administrative directory of each session's worktree.

    Git removes it with the worktree. It runs no git: the files are documented in
    gitrepository-layout(5).
    """

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace

    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        repository = Repository.find(self._workspace)

        def change(sessions: tuple[Remembered, ...]) -> list[Remembered]:
            mine = [found for found in sessions if found.session_id == session.id]
            if not durable and any(found.state in _GOING for found in mine):
                return list(sessions)
            others = [found for found in sessions if found.session_id != session.id]
            return [*others, Remembered(state, session)]

        async with self._changing(repository):
            await anyio.to_thread.run_sync(
                lambda: _rewrite(_admin_of(repository, session), change, durable=durable)
            )

    async def forget(self, session_id: SessionId) -> None:
        repository = Repository.find(self._workspace)

        def change(sessions: tuple[Remembered, ...]) -> list[Remembered]:
            return [found for found in sessions if found.session_id != session_id]

        def forget() -> None:
            for worktree in repository.worktrees():
                known = read_marker_file(worktree.admin).sessions
                if any(found.session_id == session_id for found in known):
                    _rewrite(worktree.admin, change, durable=True)

        async with self._changing(repository):
            await anyio.to_thread.run_sync(forget)

    async def rebuild(self) -> Sequence[Marker]:
        """Return everything that is remembered. Runs no git.

        A worktree without a marker counts if it lies in a directory directly under
        ``.worktrees`` that is named by a UUID. Its session is called by its branch, or
        ``recovered-`` and the first eight digits of its id; one with a detached HEAD has the
        branch ``feature/{name}``. The times are those of git's files.

        Raises:
            InvalidWorkspaceError: the workspace is not a repository.
            GitFileError: something cannot be read.
        """
        return await anyio.to_thread.run_sync(lambda: rebuild(Repository.find(self._workspace)))

    @asynccontextmanager
    async def _changing(self, repository: Repository) -> AsyncIterator[None]:
        async with exclusive(repository.markers_lock):
            with anyio.CancelScope(shield=True):
                yield


@asynccontextmanager
async def open_recovery(workspace: Path) -> AsyncIterator[GitRecovery]:
    """Open the recovery provider `git` on ``workspace``."""
    await anyio.to_thread.run_sync(_shut_markers, workspace)
    yield GitRecovery(workspace)


def _shut_markers(workspace: Path) -> None:
    """Shut the markers that other users may read: older versions made them by the umask."""
    with suppress(WorkspaceError, OSError):
        root = f"{Repository.find(workspace).common}/worktrees"
        for name in os.listdir(root):
            path = f"{root}/{name}/{markers.NAME}"
            with suppress(OSError):
                if os.stat(path).st_mode & 0o077:
                    private.restrict_file(path)


def _admin_of(repository: Repository, session: Session) -> str | None:
    """Return the administrative directory of the session's worktree, moved or missing or not."""
    path = session.worktree_path
    local = repository.path_of(os.path.basename(path))
    if target := link_target(local) or link_target(path):
        admin = f"{repository.common}/worktrees/{os.path.basename(target)}"
        if os.path.isdir(admin):
            return admin
    worktree = repository.worktree_at(local)
    return worktree.admin if worktree else None


def _rewrite(
    admin: str | None,
    change: Callable[[tuple[Remembered, ...]], Iterable[Remembered]],
    *,
    durable: bool,
) -> None:
    if admin is None:
        return
    path = f"{admin}/{markers.NAME}"
    known = read_marker_file(admin)
    if known.trust is Trust.NEWER:
        raise NewerMarkerError(path)
    with accessing(path):
        try:
            if known.trust is Trust.BROKEN:
                _keep_aside(path)
            content = markers.encode(change(known.sessions))
            replace_file(path, content, durable=durable, is_private=True)
        except FileNotFoundError:
            # The worktree was removed meanwhile, and its marker with it.
            return


def _keep_aside(path: str) -> None:
    """Keep a broken marker under a name by its content: the same one is kept only once."""
    private.restrict_file(path)
    content = read_bytes(path) or b""
    os.rename(path, f"{path}.broken-{sha256(content).hexdigest()[:8]}")
