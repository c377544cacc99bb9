"""The workspace provider `git`: each session has a worktree of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError

from frith.errors import RemovalBlockedError, StoreMismatchError, WorkAtStakeError
from frith.model import AtStake, Session, SessionId
from frith.ports import (
    Branch,
    ChangedFile,
    Diff,
    DiffScope,
    Location,
    Presence,
    WorkspaceProvider,
    WorktreePlan,
    WorktreeRequest,
)
from frith_git import GitWorkspaceOptions, locate
from frith_git.branches import list_branches, starting_point, taken
from frith_git.create import create, discard, redirection
from frith_git.diff import changed_files, diff
from frith_git.git import together
from frith_git.inspect import Inspector
from frith_git.lock import locked
from frith_git.remove import take_away
from frith_git.repository import WORKTREES, Repository, accessing, read_bytes
from frith_git.threads import current_limiter, in_thread
from frith_os import atomic, private


class GitWorkspace(WorkspaceProvider):
    """Worktrees in ``{workspace}/.worktrees/{session id}``, locked while sessions use them."""

    def __init__(
        self,
        options: GitWorkspaceOptions,
        workspace: Path,
        limiter: anyio.CapacityLimiter | None = None,
    ) -> None:
        self._options = options
        self._workspace = workspace
        self._limiter = limiter
        self._checkouts = anyio.CapacityLimiter(options.concurrency)

    async def bind_store(self, identity: str, *, write: bool) -> None:
        """Compare ``identity`` with the stamp in the git directory. No git process."""
        repository = self._repository()
        if not _is_bound(repository, identity) and write:
            async with locked(repository.markers_lock):
                with anyio.CancelScope(shield=True):
                    await in_thread(_bind, repository, identity)

    async def taken(self, branches: Collection[str]) -> frozenset[str]:
        """At most one git process."""
        return await taken(self._repository(), branches)

    async def plan(self, request: WorktreeRequest) -> WorktreePlan:
        """At most one git process, usually none. A repository without commits is refused."""
        repository = self._repository()
        return WorktreePlan(
            session_id=request.session_id,
            path=repository.path_of(request.session_id),
            branch=request.branch,
            creates_branch=not request.existing,
            base_oid=await starting_point(repository, request),
        )

    async def create(self, plan: WorktreePlan) -> None:
        """Four git processes for a new branch, three for an existing one, and the hook."""
        repository = self._repository()
        try:
            await create(repository, plan, self._options, self._checkouts)
        finally:
            with anyio.CancelScope(shield=True):
                await _give_to_owner(repository, plan.path, plan.branch)

    async def discard(self, plan: WorktreePlan) -> AtStake:
        """Wait for a checkout that is still running, then inspect and remove."""
        async with self._changing() as repository:
            at_stake = await discard(repository, self._inspector(repository), plan)
            await _give_to_owner(repository, plan.path, plan.branch)
            return at_stake

    async def restore(self, session: Session) -> None:
        """Re-create the worktree, keeping what its administrative directory still has."""
        async with self._changing() as repository:
            await locate.restore(repository, session, self._options.checkout_workers)
            await _give_to_owner(repository, session.worktree_path, session.branch)

    async def locate(self, sessions: Collection[Session]) -> dict[SessionId, Location]:
        """No git process, unless ``extensions.worktreeConfig`` is set."""
        repository = self._repository()
        found = await in_thread(
            lambda: {session.id: locate.locate(repository, session) for session in sessions}
        )

        async def check(session_id: SessionId, path: str) -> None:
            if reason := await redirection(repository, path):
                found[session_id] = Location(Presence.REDIRECTED, path, reason)

        present = [each for each in found.items() if each[1].presence is Presence.PRESENT]
        await together(*(partial(check, session_id, where.path) for session_id, where in present))
        return found

    async def inspect(self, session: Session) -> AtStake:
        """Inspect the worktree, its submodules and the repositories inside it."""
        inspector = self._inspector(self._repository())
        return (await inspector.inspect(session.id, session.worktree_path)).at_stake

    async def remove(self, session: Session, *, force: bool = False) -> None:
        """Inspect and remove the worktree under the repository's lock."""
        path = session.worktree_path
        async with self._changing() as repository:
            findings = await self._inspector(repository).inspect(session.id, path)
            if findings.at_stake.blocked:
                raise RemovalBlockedError(path, findings.at_stake.blocked)
            if findings.at_stake and not force:
                raise WorkAtStakeError(path, findings.at_stake)
            if findings.worktree:
                force = force or findings.has_modules
                await take_away(repository, findings.worktree, path, force=force)

    async def repair(self) -> tuple[str, ...]:
        """Repair the links and locks of worktrees, but never take over those of a copy."""
        async with self._changing() as repository:
            return await locate.repair(repository)

    async def changed_files(self, session: Session, scope: DiffScope) -> tuple[ChangedFile, ...]:
        """One git process; for untracked files four, since branching usually eight."""
        return await changed_files(self._repository(), session, scope)

    async def diff(
        self, session: Session, scope: DiffScope, *, paths: Collection[str] = (), limit: int
    ) -> Diff:
        """As many git processes as for the changed files, the last ended at the limit."""
        return await diff(self._repository(), session, scope, paths, limit)

    async def branches(self) -> tuple[Branch, ...]:
        """One git process."""
        return await list_branches(self._repository())

    def _repository(self) -> Repository:
        """Return the repository, found anew each time because the workspace may be moved.

        What the current call does from now on blocks threads of this manager only.
        """
        current_limiter.set(self._limiter)
        return Repository.find(self._workspace)

    def _inspector(self, repository: Repository) -> Inspector:
        return Inspector(repository, self._options.disposable)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Repository]:
        """Hold the repository's lock, and shield the block from cancellation."""
        repository = self._repository()
        async with locked(repository.lock):
            with anyio.CancelScope(shield=True):
                yield repository


class _Stamp(BaseModel):
    """A file in the workspace's git directory that names the store of its sessions."""

    model_config = ConfigDict(frozen=True)

    workspace: str
    """A random id, kept when the workspace is moved. A copy of the workspace gets a new one."""
    path: str
    """Path of the workspace when the stamp was written."""
    inode: int
    store: str
    """``SessionStore.identity``."""

    def is_of_a_copy(self, inode: int) -> bool:
        """Return whether the workspace, not the one with ``inode``, still exists elsewhere.

        A workspace that was moved to another file system has a new inode too, but its old path is
        gone.
        """
        if self.inode == inode:
            return False
        try:
            return os.stat(self.path).st_ino == self.inode
        except OSError:
            return False


def _read_stamp(repository: Repository) -> _Stamp | None:
    """Return the stamp, ``None`` if it is missing or invalid."""
    content = read_bytes(repository.stamp)
    try:
        return None if content is None else _Stamp.model_validate_json(content)
    except ValidationError:
        return None


def _is_bound(repository: Repository, store: str) -> bool:
    """Return whether the stamp names ``store`` and the workspace as it is now.

    Raises:
        StoreMismatchError: the stamp names another store.
    """
    stamp = _read_stamp(repository)
    if stamp is None:
        return False
    if stamp.store != store:
        raise StoreMismatchError(repository.workspace, stamp.store, store, repository.stamp)
    return (stamp.path, stamp.inode) == _place(repository)


def _bind(repository: Repository, store: str) -> None:
    if _is_bound(repository, store):
        return
    old = _read_stamp(repository)
    path, inode = _place(repository)
    workspace = str(uuid4()) if old is None or old.is_of_a_copy(inode) else old.workspace
    stamp = _Stamp(workspace=workspace, path=path, inode=inode, store=store)
    with accessing(repository.stamp):
        private.make_directory(os.path.dirname(repository.stamp))
        content = stamp.model_dump_json().encode() + b"\n"
        atomic.replace(repository.stamp, [content], keep_access=False)


def _place(repository: Repository) -> tuple[str, int]:
    with accessing(repository.workspace):
        return os.path.realpath(repository.workspace), os.stat(repository.workspace).st_ino


async def _give_to_owner(repository: Repository, path: str, branch: str) -> None:
    """If root has made the worktree at ``path``, on ``branch``, give it to the repository's owner.

    Git creates files as the user who runs it, so their owner is changed afterwards. The user may
    replace a directory of the repository by a symbolic link at any moment: each file is opened
    relative to the descriptor of its directory, and links are not followed.
    """
    if private.is_root():
        await in_thread(_give, repository, os.path.basename(path), branch)


def _give(repository: Repository, name: str, branch: str) -> None:
    for base, path in (
        (repository.workspace, f"{WORKTREES}/{name}"),
        (repository.common, f"worktrees/{name}"),
        (repository.common, f"refs/heads/{branch}"),
        (repository.common, f"logs/refs/heads/{branch}"),
        (repository.common, "info/exclude"),
    ):
        with suppress(OSError):  # missing: packed refs, no reflogs
            _give_path(base, path)
    for tree in (repository.path_of(name), f"{repository.common}/worktrees/{name}"):
        with suppress(OSError):  # not created, or undone
            _give_tree(tree)


def _give_path(base: str, path: str) -> None:
    """Give each directory of ``path``, which is relative to ``base``, and the file at its end."""
    parent = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.split("/"):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            found = os.open(name, flags, dir_fd=parent)
            private.give(found, os.fstat(parent))
            os.close(parent)
            parent = found
    finally:
        os.close(parent)


def _give_tree(tree: str) -> None:
    for _, directories, files, parent in os.fwalk(tree):
        owner = os.fstat(parent)
        for name in (*directories, *files):
            with suppress(OSError):  # deleted meanwhile
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if private.may_be_given(found, owner):
                    ids = owner.st_uid, owner.st_gid
                    os.chown(name, *ids, dir_fd=parent, follow_symlinks=False)
