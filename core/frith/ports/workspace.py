"""The workspace port: branches and worktrees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from frith.errors import UnsupportedCapabilityError
from frith.model import AtStake, Session, SessionId


@dataclass(frozen=True, slots=True)
class WorktreeRequest:
    """The worktree that a session needs."""

    session_id: SessionId
    branch: str
    base: str | None = None
    """The start of a new branch: a branch, tag or commit; ``None`` for the workspace's HEAD."""
    existing: bool = False
    """Whether ``branch`` must exist already, instead of being created."""


@dataclass(frozen=True, slots=True)
class WorktreePlan:
    """The plan for :meth:`WorkspaceProvider.create`. It suffices to undo that after a crash."""

    session_id: SessionId
    path: str
    """Absolute path of the worktree."""
    branch: str
    creates_branch: bool
    base_oid: str | None
    """Commit at which the worktree starts; ``None`` in a repository without commits."""


class Presence(StrEnum):
    """Whether a worktree is where it should be."""

    PRESENT = "present"
    MISSING = "missing"
    """Gone, or its files were never written completely: :meth:`WorkspaceProvider.restore`."""
    MOVED = "moved"
    """The workspace was moved or is mounted elsewhere: :meth:`WorkspaceProvider.repair`."""
    REDIRECTED = "redirected"
    """Present, but git commands in it would change files elsewhere; :attr:`Location.reason`."""
    UNKNOWN = "unknown"
    """Unknown; the caller must act as if it were present."""


@dataclass(frozen=True, slots=True)
class Location:
    """The place of a session's worktree."""

    presence: Presence
    path: str
    """Absolute path: where it is, or was last."""
    reason: str = ""
    """The cause of the redirection and its remedy, for the user."""


class DiffScope(StrEnum):
    """What is compared to show the changes in a worktree."""

    STAGED = "staged"
    """The last commit and the index."""
    UNSTAGED = "unstaged"
    """The index and the files that it lists; conflicting files with our side of the merge."""
    UNTRACKED = "untracked"
    """Nothing and the files that the index does not list, without ignored ones."""
    BRANCH = "branch"
    """The commit at which the branch began and all files, committed or not, without ignored ones.

    That is the last commit that the branch has in common with its upstream, if it tracks another
    branch. Otherwise it is the last one in common with the workspace's HEAD or, if that is older,
    the commit at which the branch was created for a session. If there is none, every file is new.
    """


class FileChange(StrEnum):
    """How a file has changed."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    RENAMED = "renamed"
    """Also if its content has changed."""
    TYPE_CHANGED = "type-changed"
    """Between a regular file, a symbolic link and a submodule."""
    UNMERGED = "unmerged"
    """A merge has left a conflict in it; not told apart from ``modified`` since branching."""
    UNTRACKED = "untracked"


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One changed file. Paths are relative to the worktree, decoded by ``os.fsdecode``."""

    path: str
    """Where it is or, if it was deleted, was. A repository inside the worktree is one path, which
    ends with a slash, and in no diff."""
    kind: FileChange
    added: int | None = None
    """Number of added lines; ``None`` for a binary file."""
    deleted: int | None = None
    """Number of deleted lines; ``None`` for a binary file."""
    previous: str | None = None
    """Where a renamed file was."""


@dataclass(frozen=True, slots=True)
class Diff:
    """A unified diff in the format of git, with the content of binary files."""

    content: bytes
    """What ``git apply`` accepts, unless it was cut."""
    is_cut: bool = False
    """Whether the diff is longer than the limit, and this is its beginning."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A local branch."""

    name: str
    """Without ``refs/heads/``, decoded by ``os.fsdecode``."""
    commit: str
    """Object id of its last commit."""
    committed_at: datetime
    """Committer date of that commit."""
    worktree_path: str | None = None
    """Path of the worktree in which it is checked out, or being rebased."""
    upstream: str | None = None
    """The branch that it tracks: ``origin/main``, or ``main`` for a local one."""
    is_head: bool = False
    """Whether the HEAD of the workspace names it."""


class WorkspaceProvider(ABC):
    """Creates, inspects and removes the worktrees of sessions.

    Every method either completes or, failing or cancelled, leaves nothing of its own behind.
    """

    @abstractmethod
    async def bind_store(self, identity: str, *, write: bool) -> None:
        """Bind the workspace to the store ``identity``, or check that it is bound to no other.

        Two stores of one workspace would each restore the sessions that have markers, and then
        disagree. The binding is durable, and the same for every process.

        Args:
            identity: ``SessionStore.identity``.
            write: whether to bind the workspace if it is bound to no store.

        Raises:
            StoreMismatchError: it is bound to another store.
            WorkspaceError: the binding cannot be read or written.
        """

    @abstractmethod
    async def taken(self, branches: Collection[str]) -> frozenset[str]:
        """Return those of ``branches`` that exist, or that cannot exist beside one that does."""

    @abstractmethod
    async def plan(self, request: WorktreeRequest) -> WorktreePlan:
        """Look up what creating would do, changing nothing.

        Raises:
            InvalidBranchError: ``branch`` is not a valid branch name.
            BranchTakenError: a new branch was asked for that exists.
            BranchBlockedError: a new branch was asked for that cannot exist beside one that does.
            BranchNotFoundError: an existing branch was asked for that does not.
            BaseNotFoundError: ``base`` names no commit.
            InvalidWorkspaceError: the workspace cannot hold worktrees.
            WorkspaceError: anything else.
        """

    @abstractmethod
    async def create(self, plan: WorktreePlan) -> None:
        """Create the worktree, and the branch if the plan says so.

        Raises:
            BranchTakenError: the branch was created meanwhile.
            BranchBlockedError: it cannot exist beside another one, which the plan did not show.
            BranchInUseError: the existing branch is checked out elsewhere.
            WorktreeRedirectedError: git commands in the worktree would change files elsewhere.
            WorkspaceError: anything else.
        """

    @abstractmethod
    async def discard(self, plan: WorktreePlan) -> AtStake:
        """Undo a creation that may have happened wholly, partly or not at all.

        Removes only what the plan created and what holds no work since; the branch only if it is
        still at ``base_oid``. Returns what is at stake: if anything, nothing was removed.
        """

    @abstractmethod
    async def restore(self, session: Session) -> None:
        """Re-create the missing worktree of ``session`` from its branch, at its path.

        Raises:
            WorktreeMissingError: the branch is gone too.
            BranchInUseError: the branch is checked out elsewhere.
        """

    @abstractmethod
    async def locate(self, sessions: Collection[Session]) -> dict[SessionId, Location]:
        """Return where the worktree of each of ``sessions`` is."""

    @abstractmethod
    async def inspect(self, session: Session) -> AtStake:
        """Return what removing the worktree of ``session`` would destroy, and what forbids it.

        A missing worktree has nothing at stake.
        """

    @abstractmethod
    async def remove(self, session: Session, *, force: bool = False) -> None:
        """Remove the worktree of ``session``; its branch stays.

        Inspects again first. A missing worktree is not an error.

        Raises:
            WorkAtStakeError: it holds work, and ``force`` was not given.
            RemovalBlockedError: a registered worktree lies beneath it, it is the main worktree,
                or something else forbids it, also with ``force``.
        """

    @abstractmethod
    async def repair(self) -> tuple[str, ...]:
        """Repair worktrees whose workspace was moved, and their protection; return a line for each.

        It waits until the programs that dead processes have started in the worktrees have ended.
        """

    async def changed_files(self, session: Session, scope: DiffScope) -> tuple[ChangedFile, ...]:
        """Return the changed files in the worktree of ``session``, ordered by path.

        As :meth:`diff`, it changes nothing, neither the index nor the object database, and does
        not depend on how the user has configured git to show changes. Of a submodule only its
        commit counts. Requires ``Capability.DIFF``.

        Raises:
            WorktreeMissingError: the worktree is missing or was moved.
            WorkspaceError: anything else.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "diff")

    async def diff(
        self, session: Session, scope: DiffScope, *, paths: Collection[str] = (), limit: int
    ) -> Diff:
        """Return a diff of the changes in the worktree of ``session``.

        Untracked files are new files in it. Requires ``Capability.DIFF``.

        Args:
            session: the session.
            scope: what is compared.
            paths: files and directories to which it is limited, relative to the worktree; for a
                renamed file both its paths. All if there are none.
            limit: length at which the diff is cut, in bytes.

        Raises:
            WorktreeMissingError: the worktree is missing or was moved.
            WorkspaceError: anything else.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "diff")

    async def branches(self) -> tuple[Branch, ...]:
        """Return the local branches of the workspace, ordered by name.

        Requires ``Capability.BRANCHES``.

        Raises:
            WorkspaceError: they cannot be read.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "branches")
