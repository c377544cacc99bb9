"""The recovery provider `git`: sessions are recorded in their worktrees, and rebuilt from them.

The marker of a worktree is the file ``frith.json`` in its administrative directory: one JSON object
with line breaks, whose first line is the SHA-256 of everything after that line::

    {"checksum": "…",
      "format": 1,
      "sessions": [{"state": "live", "session": {…}, "details": {…}}]}
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio

from frith.errors import InvalidNameError, WorkspaceError
from frith.model import Session, SessionId, SessionStatus
from frith.naming import branch_of, check_name
from frith.ports import Marker, MarkerState, SessionRecovery
from frith_git.branches import checked_out, is_valid_branch
from frith_git.lock import locked
from frith_git.repository import (
    Repository,
    Worktree,
    accessing,
    link_target,
    names_in,
    read_bytes,
)
from frith_git.threads import current_limiter, in_thread
from frith_os import atomic, private

NAME = "frith.json"
FORMAT = 1

_FIRST = b'{"checksum": "'
_FIRST_END = b'",\n'
_ENDING = (MarkerState.REMOVING, MarkerState.RELEASED)
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Trust(StrEnum):
    """Whether a marker can be used."""

    WHOLE = "whole"
    ABSENT = "absent"
    BROKEN = "broken"
    NEWER = "newer"
    """Written by a later version; must not be changed."""


@dataclass(frozen=True, slots=True)
class MarkerFile:
    """The content of a marker."""

    trust: Trust
    sessions: tuple[Marker, ...] = ()


def read_marker_file(admin: str) -> MarkerFile:
    """Return the marker in the administrative directory ``admin``.

    A marker of another user counts as broken, because the command in it would be run.
    """

    def is_trusted(found: os.stat_result) -> bool:
        return found.st_uid in (0, os.geteuid(), os.stat(admin).st_uid)

    content = read_bytes(f"{admin}/{NAME}", is_trusted=is_trusted)
    return MarkerFile(Trust.ABSENT) if content is None else decode(content)


def encode(sessions: Iterable[Marker]) -> bytes:
    """Return the content of a marker with ``sessions``."""
    document = {
        "format": FORMAT,
        "sessions": [
            {
                "state": found.state.value,
                "session": found.session.to_record(),
                "details": found.session.details.model_dump(
                    mode="json", by_alias=True, exclude_none=True
                ),
            }
            for found in sessions
        ],
    }
    rest = json.dumps(document, indent=2).removeprefix("{\n").encode() + b"\n"
    return _FIRST + _checksum(rest) + _FIRST_END + rest


def decode(content: bytes) -> MarkerFile:
    """Return the marker with ``content``; without sessions unless it is whole."""
    first, end, rest = content.partition(_FIRST_END)
    if not end or first != _FIRST + _checksum(rest):
        return MarkerFile(Trust.BROKEN)
    try:
        document = json.loads(content)
        if document["format"] > FORMAT:
            return MarkerFile(Trust.NEWER)
        return MarkerFile(Trust.WHOLE, tuple(map(_decoded, document["sessions"])))
    except (ValueError, KeyError, TypeError):
        return MarkerFile(Trust.BROKEN)


def _decoded(entry: dict[str, Any]) -> Marker:
    session = Session.model_validate({**entry["session"], "details": entry["details"]})
    return Marker(session, MarkerState(entry["state"]))


def _checksum(rest: bytes) -> bytes:
    return sha256(rest).hexdigest().encode()


class NewerMarkerError(WorkspaceError):
    """The marker of a worktree was written by a later version of frith, and was not changed."""

    code = "MARKER_VERSION"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path!r} was written by a newer version of frith, and was not changed. Upgrade frith."
        )
        self.path = path


class GitRecovery(SessionRecovery):
    """Keeps a marker in the administrative directory of each session's worktree.

    Git removes the marker with the worktree. No method runs git: the files are documented in
    gitrepository-layout(5).
    """

    def __init__(self, workspace: Path, limiter: anyio.CapacityLimiter | None = None) -> None:
        self._workspace = workspace
        self._limiter = limiter

    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        """Write the session into the marker of its worktree, beside others that share it."""

        def write(repository: Repository) -> None:
            if admin := _admin_of(repository, session):
                _rewrite(admin, session.id, Marker(session, state), durable=durable)

        await self._change(write)

    async def forget(self, session_id: SessionId) -> None:
        """Remove the session from every marker that contains it."""

        def write(repository: Repository) -> None:
            for worktree in repository.worktrees():
                _rewrite(worktree.admin, session_id, None, durable=True)

        await self._change(write)

    async def rebuild(self) -> Sequence[Marker]:
        """Return a marker for every session of the workspace, in the order of creation.

        A worktree without a marker counts as a session if it is a directory directly under
        ``.worktrees`` that is named by a UUID. The session has the name of its branch, or
        ``recovered-`` and the first eight digits of its id; with a detached HEAD it has the
        branch ``feature/{name}``. Its times are those of git's files.

        Raises:
            InvalidWorkspaceError: the workspace is not a repository.
            GitFileError: a file cannot be read.
        """
        current_limiter.set(self._limiter)
        return await in_thread(lambda: _rebuild(Repository.find(self._workspace)))

    async def _change(self, write: Callable[[Repository], None]) -> None:
        current_limiter.set(self._limiter)
        repository = Repository.find(self._workspace)
        async with locked(repository.markers_lock):
            with anyio.CancelScope(shield=True):
                await in_thread(write, repository)


@asynccontextmanager
async def open_recovery(
    workspace: Path, limiter: anyio.CapacityLimiter | None = None
) -> AsyncIterator[GitRecovery]:
    """Open the recovery provider `git` on ``workspace``."""
    await anyio.to_thread.run_sync(_restrict_markers, workspace, limiter=limiter)
    yield GitRecovery(workspace, limiter)


def _restrict_markers(workspace: Path) -> None:
    """Deny other users the markers, whatever mode they were given."""
    with suppress(WorkspaceError):
        root = f"{Repository.find(workspace).common}/worktrees"
        for name in names_in(root):
            with suppress(OSError):
                private.restrict_file(f"{root}/{name}/{NAME}")


def _admin_of(repository: Repository, session: Session) -> str | None:
    """Return the administrative directory of the session's worktree, even if moved or missing."""
    path = session.worktree_path
    local = repository.path_of(os.path.basename(path))
    target = link_target(local) or link_target(path)
    if target and os.path.isdir(admin := repository.admin_of(target)):
        return admin
    worktree = repository.worktree_at(local)
    return worktree.admin if worktree else None


def _rewrite(admin: str, session_id: SessionId, entry: Marker | None, *, durable: bool) -> None:
    """Replace what the marker in ``admin`` says of a session by ``entry``, or remove it."""
    path = f"{admin}/{NAME}"
    known = read_marker_file(admin)
    mine = [found for found in known.sessions if found.session.id == session_id]
    others = [found for found in known.sessions if found.session.id != session_id]
    if entry is None and not mine:
        return
    if not durable and any(found.state in _ENDING for found in mine):
        return
    if known.trust is Trust.NEWER:
        raise NewerMarkerError(path)
    with accessing(path):
        try:
            if known.trust is Trust.BROKEN:
                _keep_aside(path)
            content = encode([*others, entry] if entry else others)
            atomic.replace(path, [content], keep_access=False, sync_name=durable)
        except (FileNotFoundError, atomic.UnknownOutcomeError):
            # Without its directory, the worktree and its marker were removed meanwhile.
            if os.path.isdir(admin):
                raise


def _keep_aside(path: str) -> None:
    """Rename a broken marker to a name with its digest, so that equal ones are kept only once."""
    private.restrict_file(path)
    content = read_bytes(path) or b""
    os.rename(path, f"{path}.broken-{sha256(content).hexdigest()[:8]}")


def _rebuild(repository: Repository) -> list[Marker]:
    home = os.path.realpath(repository.home)
    found = [
        marker
        for worktree in repository.worktrees()
        if not _is_of_another_workspace(home, worktree)
        for marker in _sessions_of(repository, home, worktree)
    ]
    return sorted(found, key=lambda marker: (marker.session.created_at, marker.session.id))


def _is_of_another_workspace(home: str, worktree: Worktree) -> bool:
    """Return whether it is in the directory of session worktrees of another checkout."""
    if worktree.path is None or not worktree.is_linked():
        return False
    place = os.path.dirname(os.path.realpath(worktree.path))
    checkout, name = os.path.split(place)
    return place != home and name == os.path.basename(home) and os.path.exists(f"{checkout}/.git")


def _sessions_of(repository: Repository, home: str, worktree: Worktree) -> list[Marker]:
    known = read_marker_file(worktree.admin)
    path = _current_path(repository, home, worktree)
    if known.trust is Trust.WHOLE:
        return [Marker(_at(path, found.session), found.state) for found in known.sessions]
    session_id = _named_by(repository, worktree, path)
    if session_id is None and known.trust is not Trust.ABSENT:
        session_id = _uuid4((worktree.lock or "").rpartition(" ")[2])
    if session_id is None:
        return []
    session = _session_from_files(session_id, path, worktree.admin)
    return [Marker(session, MarkerState.LIVE, complete=False)]


def _named_by(repository: Repository, worktree: Worktree, path: str) -> SessionId | None:
    """Return the session id that names the directory of ``worktree``, which is at ``path`` now."""
    name = os.path.basename(worktree.path or "")
    is_own = os.path.dirname(path) == os.path.dirname(repository.path_of(name))
    return _uuid4(name) if is_own else None


def _uuid4(text: str) -> str | None:
    return text if _UUID4.fullmatch(text) else None


def _current_path(repository: Repository, home: str, worktree: Worktree) -> str:
    path = worktree.path or worktree.admin
    local = repository.path_of(os.path.basename(path))
    if os.path.dirname(path) == home:
        return local
    target = link_target(local)
    if target and os.path.basename(target) == os.path.basename(worktree.admin):
        return local
    return path if worktree.is_linked() else local


def _at(path: str, session: Session) -> Session:
    """Return ``session`` at ``path``, keeping its own spelling of the same path."""
    remembered = session.worktree_path
    if remembered != path and os.path.realpath(remembered) == os.path.realpath(path):
        return session
    return session.evolve(worktree_path=path)


def _session_from_files(session_id: SessionId, path: str, admin: str) -> Session:
    name = f"recovered-{session_id[:8]}"
    branch = next(filter(is_valid_branch, checked_out(admin)), None)
    with suppress(InvalidNameError):
        name = check_name(branch.removeprefix("feature/")) if branch else name
    created = _modified(admin, "commondir")
    return Session(
        id=session_id,
        name=name,
        status=SessionStatus.IDLE,
        branch=branch or branch_of(name),
        worktree_path=path,
        created_at=created,
        last_activity=max(created, _modified(admin, "index"), _modified(admin, "logs/HEAD")),
    )


def _modified(admin: str, name: str) -> datetime:
    path = f"{admin}/{name}"
    with accessing(path):
        try:
            moment = os.stat(path).st_mtime
        except FileNotFoundError:
            moment = os.stat(admin).st_mtime
    return datetime.fromtimestamp(moment, UTC)
