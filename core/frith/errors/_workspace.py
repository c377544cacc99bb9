"""Errors of branches and worktrees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frith.errors._root import FrithError, SessionError

if TYPE_CHECKING:
    from frith.model import AtStake


class WorkspaceError(FrithError):
    """An operation of the workspace provider failed."""

    code = "WORKSPACE_FAILED"


class InvalidWorkspaceError(WorkspaceError):
    """The workspace provider cannot use the workspace."""

    code = "INVALID_WORKSPACE"
    path: str
    reason: str

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"Workspace {path!r} cannot be used: {reason}")
        self.path = path
        self.reason = reason


class InvalidBranchError(FrithError):
    """A branch name is not one that git accepts."""

    code = "INVALID_BRANCH"
    branch: str
    reason: str

    def __init__(self, branch: str, reason: str = "git does not accept it") -> None:
        super().__init__(
            f"Invalid branch name {branch!r}: {reason}. See `git help check-ref-format`."
        )
        self.branch = branch
        self.reason = reason


class BranchTakenError(SessionError):
    """A new branch was requested, and one of that name exists or is being created."""

    code = "BRANCH_TAKEN"
    branch: str

    def __init__(self, branch: str, session_id: str | None = None) -> None:
        held = " by session {session}" if session_id else ""
        super().__init__(
            f"Branch {branch!r} is already taken{held}. "
            "Choose another name, or ask for the existing branch.",
            session_id,
        )
        self.branch = branch


class BranchBlockedError(BranchTakenError):
    """A new branch was requested that cannot exist beside an existing one.

    Git keeps neither ``feature/login`` beside ``feature`` nor the other way round.

    Attributes:
        branch: the requested branch.
        blocking: the existing branch.
    """

    code = "BRANCH_BLOCKED"
    branch: str
    blocking: str

    def __init__(self, branch: str, blocking: str) -> None:
        SessionError.__init__(
            self,
            f"Branch {branch!r} cannot be created beside branch {blocking!r}, because one name "
            "is the beginning of the other. Choose another branch, or rename that one.",
            None,
        )
        self.branch = branch
        self.blocking = blocking


class BranchInUseError(SessionError):
    """An existing branch was requested that is checked out in another worktree or session."""

    code = "BRANCH_IN_USE"
    branch: str
    path: str

    def __init__(self, branch: str, path: str, session_id: str | None = None) -> None:
        hint = (
            "Ask to share it, or choose another branch."
            if session_id
            else "Switch that worktree to another branch, or choose another one."
        )
        held = " by session {session}" if session_id else ""
        super().__init__(f"Branch {branch!r} is checked out{held} at {path!r}. {hint}", session_id)
        self.branch = branch
        self.path = path


class BranchNotFoundError(FrithError):
    """An existing branch was requested, and there is none of that name."""

    code = "BRANCH_NOT_FOUND"
    branch: str

    def __init__(self, branch: str) -> None:
        super().__init__(f"There is no branch {branch!r}. Create it, or ask for a new branch.")
        self.branch = branch


class BaseNotFoundError(FrithError):
    """The base of a new branch names no commit."""

    code = "BASE_NOT_FOUND"
    base: str

    def __init__(self, base: str) -> None:
        super().__init__(f"{base!r} names no commit. Give a branch, a tag or a commit id as base.")
        self.base = base


class WorktreeMissingError(WorkspaceError):
    """The worktree of a session is gone and cannot be re-created."""

    code = "WORKTREE_MISSING"
    path: str
    reason: str

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"Worktree {path!r} is missing: {reason}")
        self.path = path
        self.reason = reason


class WorktreeRedirectedError(WorkspaceError):
    """Git commands in the worktree of a session would change files elsewhere.

    Attributes:
        path: the worktree.
        reason: the place of these files, and the remedy.
    """

    code = "WORKTREE_REDIRECTED"
    path: str
    reason: str

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"Worktree {path!r} cannot be used: {reason}")
        self.path = path
        self.reason = reason


class WorkAtStakeError(FrithError):
    """Removing a worktree would destroy work that exists nowhere else."""

    code = "WORK_AT_STAKE"
    path: str
    at_stake: AtStake

    def __init__(self, path: str, at_stake: AtStake) -> None:
        super().__init__(
            f"Removing {path!r} would destroy work: {at_stake.summary()}. "
            "Commit or copy it, keep the worktree, or force the removal."
        )
        self.path = path
        self.at_stake = at_stake


class RemovalBlockedError(FrithError):
    """A worktree may not be removed, not even by force."""

    code = "REMOVAL_BLOCKED"
    path: str
    reasons: tuple[str, ...]

    def __init__(self, path: str, reasons: Sequence[str]) -> None:
        super().__init__(f"{path!r} cannot be removed: {'; '.join(reasons)}. Resolve that first.")
        self.path = path
        self.reasons = tuple(reasons)
