"""Reading back the sessions that the worktrees remember. Plain files, no git process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from frith.errors import InvalidNameError
from frith.model import Session, SessionId, SessionStatus
from frith.naming import branch_of, check_name
from frith.ports import Marker, MarkerState
from frith_git._branches import is_valid_branch
from frith_git._files import accessing, read_bytes
from frith_git._marker_file import Trust, read_marker_file
from frith_git._repository import Repository, Worktree, link_target

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HEADS = b"refs/heads/"


def rebuild(repository: Repository) -> list[Marker]:
    """Return a marker for every session of ``repository``, in the order of creation.

    Raises:
        GitFileError: something cannot be read.
    """
    home = os.path.realpath(repository.home)
    found = [
        marker
        for worktree in repository.worktrees()
        if not _is_of_another_workspace(home, worktree)
        for marker in _recall(repository, home, worktree)
    ]
    return sorted(found, key=lambda marker: (marker.session.created_at, marker.session.id))


def _recall(repository: Repository, home: str, worktree: Worktree) -> Iterable[Marker]:
    known = read_marker_file(worktree.admin)
    if known.trust is Trust.WHOLE:
        path = _path_now(repository, home, worktree)
        return [Marker(_placed(found.session, path), found.state) for found in known.sessions]
    session_id = _id_of(repository, home, worktree, had_marker=known.trust is not Trust.ABSENT)
    if session_id is None:
        return []
    path = _path_now(repository, home, worktree)
    session = _session_of(session_id, path, worktree.admin)
    return [Marker(session, MarkerState.LIVE, complete=False)]


def _is_of_another_workspace(home: str, worktree: Worktree) -> bool:
    """Tell whether it lies where another checkout of the repository keeps its sessions."""
    if worktree.path is None or not worktree.is_linked():
        return False
    place = os.path.dirname(os.path.realpath(worktree.path))
    checkout, name = os.path.split(place)
    return place != home and name == os.path.basename(home) and os.path.exists(f"{checkout}/.git")


def _placed(session: Session, path: str) -> Session:
    """Return ``session`` at ``path``; as it spells it itself where that leads to the same place."""
    remembered = session.worktree_path
    if remembered != path and os.path.realpath(remembered) == os.path.realpath(path):
        return session
    return session.evolve(worktree_path=path)


def _path_now(repository: Repository, home: str, worktree: Worktree) -> str:
    path = worktree.path or worktree.admin
    local = repository.path_of(os.path.basename(path))
    if os.path.dirname(path) == home:
        return local
    target = link_target(local)
    if target and os.path.basename(target) == os.path.basename(worktree.admin):
        return local
    return path if worktree.is_linked() else local


def _id_of(
    repository: Repository, home: str, worktree: Worktree, *, had_marker: bool
) -> SessionId | None:
    """Return whose worktree it is if that shows without a marker.

    It shows by its name; if there was a marker that cannot be read, by its lock, too.
    """
    name = os.path.basename(worktree.path or "")
    if _UUID4.fullmatch(name) and os.path.dirname(_path_now(repository, home, worktree)) == (
        os.path.dirname(repository.path_of(name))
    ):
        return name
    locked_for = (worktree.lock or "").rpartition(" ")[2]
    return locked_for if had_marker and _UUID4.fullmatch(locked_for) else None


def _session_of(session_id: SessionId, path: str, admin: str) -> Session:
    """Return what git's files tell of a session."""
    name = f"recovered-{session_id[:8]}"
    branch = _branch_in(admin)
    if branch is None:
        branch = branch_of(name)
    else:
        with suppress(InvalidNameError):
            name = check_name(branch.removeprefix("feature/"))
    created = _modified(admin, "commondir")
    return Session(
        id=session_id,
        name=name,
        status=SessionStatus.IDLE,
        branch=branch,
        worktree_path=path,
        created_at=created,
        last_activity=max(created, _modified(admin, "index"), _modified(admin, "logs/HEAD")),
    )


def _branch_in(admin: str) -> str | None:
    """Return the branch of HEAD, or the one that a rebase keeps; ``None`` if it is detached."""
    head = (read_bytes(f"{admin}/HEAD") or b"").removeprefix(b"ref: ")
    rebased = read_bytes(f"{admin}/rebase-merge/head-name")
    for ref in (head, rebased or b""):
        branch = os.fsdecode(ref.removeprefix(_HEADS).rstrip(b"\n"))
        if ref.startswith(_HEADS) and is_valid_branch(branch):
            return branch
    return None


def _modified(admin: str, name: str) -> datetime:
    path = f"{admin}/{name}"
    with accessing(path):
        try:
            moment = os.stat(path).st_mtime
        except FileNotFoundError:
            moment = os.stat(admin).st_mtime
    return datetime.fromtimestamp(moment, UTC)
