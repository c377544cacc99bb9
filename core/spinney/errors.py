"""Every error that spinney raises: one root, each with a stable ``code`` and typed attributes.

A message tells a person what happened, to what, and what to do next; a program reads ``code``
and the attributes. Plugins raise these, or subclasses of these with a code of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from spinney.model import AtStake, Session


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the one of ``known`` that ``word`` most probably meant, or ``None``."""
    found = get_close_matches(word, known, n=1)
    return found[0] if found else None


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    guess = nearest(word, known)
    return f" Did you mean {guess!r}?" if guess else ""


class SpinneyError(Exception):
    """Root of all errors of spinney.

    Attributes:
        code: stable, upper-case identifier for programs; never reworded once released.
    """

    code: ClassVar[str] = "SPINNEY_ERROR"


class InvalidNameError(SpinneyError):
    """A session name does not match ``[a-zA-Z0-9-]{1,50}``."""

    code = "INVALID_NAME"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Invalid session name {name!r}: use 1 to 50 letters, digits and hyphens."
        )
        self.name = name


class InvalidBranchError(SpinneyError):
    """A branch name is not one that git accepts."""

    code = "INVALID_BRANCH"

    def __init__(self, branch: str, reason: str = "git does not accept it") -> None:
        super().__init__(
            f"Invalid branch name {branch!r}: {reason}. See `git help check-ref-format`."
        )
        self.branch = branch
        self.reason = reason


class SessionLimitError(SpinneyError):
    """The workspace already holds as many sessions as the configuration allows."""

    code = "MAX_SESSIONS"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Maximum {limit} sessions supported. Destroy a session to create a new one."
        )
        self.limit = limit


class BranchTakenError(SpinneyError):
    """A new branch was asked for, and one of that name exists or is being created."""

    code = "BRANCH_TAKEN"

    def __init__(self, branch: str, session_id: str | None = None) -> None:
        held = f" by session {session_id}" if session_id else ""
        super().__init__(
            f"Branch {branch!r} is already taken{held}. "
            "Choose another name, or ask for the existing branch."
        )
        self.branch = branch
        self.session_id = session_id


class BranchInUseError(SpinneyError):
    """An existing branch was asked for that is checked out in another worktree or session."""

    code = "BRANCH_IN_USE"

    def __init__(self, branch: str, path: str, session_id: str | None = None) -> None:
        hint = (
            "Ask to share it, or choose another branch."
            if session_id
            else "Switch that worktree to another branch, or choose another one."
        )
        super().__init__(f"Branch {branch!r} is checked out at {path!r}. {hint}")
        self.branch = branch
        self.path = path
        self.session_id = session_id


class BranchNotFoundError(SpinneyError):
    """An existing branch was asked for, and there is none of that name."""

    code = "BRANCH_NOT_FOUND"

    def __init__(self, branch: str) -> None:
        super().__init__(f"There is no branch {branch!r}. Create it, or ask for a new branch.")
        self.branch = branch


class BaseNotFoundError(SpinneyError):
    """The base of a new branch names no commit."""

    code = "BASE_NOT_FOUND"

    def __init__(self, base: str) -> None:
        super().__init__(f"{base!r} names no commit. Give a branch, a tag or a commit id as base.")
        self.base = base


class SessionNotFoundError(SpinneyError):
    """No session has this id."""

    code = "SESSION_NOT_FOUND"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"There is no session {session_id!r}. List the sessions to see their ids.")
        self.session_id = session_id


class SessionOwnedError(SpinneyError):
    """Another living process owns the session, or it cannot be told that none does."""

    code = "SESSION_OWNED"

    def __init__(self, session_id: str, *, certain: bool = True) -> None:
        what = "is owned by another living process" if certain else "may be owned by another process"
        super().__init__(f"Session {session_id} {what}. Stop it first, then try again.")
        self.session_id = session_id
        self.certain = certain


class SessionRunningError(SpinneyError):
    """The operation needs a session without a process, and this one has one."""

    code = "SESSION_RUNNING"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"Session {session_id} is running already. Stop it first.")
        self.session_id = session_id


class SessionNotRunningError(SpinneyError):
    """The operation needs the session's terminal, and this process runs none for it."""

    code = "SESSION_NOT_RUNNING"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"Session {session_id} has no process here. Resume it first.")
        self.session_id = session_id


class SessionVetoed(SpinneyError):  # noqa: N818 - raised by plugins as a verdict, not a fault
    """A plugin refused the creation or destruction of a session.

    Raise it from ``spinney_session_creating`` or ``spinney_session_destroying`` with the reason
    alone; spinney fills in ``plugin``.
    """

    code = "SESSION_VETOED"

    def __init__(self, reason: str, plugin: str | None = None) -> None:
        by = f" by plugin {plugin!r}" if plugin else ""
        super().__init__(f"Refused{by}: {reason}")
        self.reason = reason
        self.plugin = plugin


class VetoHookFailedError(SpinneyError):
    """A plugin that may veto broke or hung, so nobody knows whether it would have."""

    code = "VETO_HOOK_FAILED"

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(
            f"Plugin {plugin!r} could not say whether this may go on: {reason}. "
            "Repair or block the plugin, then try again."
        )
        self.plugin = plugin
        self.reason = reason


class WorkAtStakeError(SpinneyError):
    """Removing a worktree would destroy work that exists nowhere else."""

    code = "WORK_AT_STAKE"

    def __init__(self, path: str, at_stake: AtStake) -> None:
        super().__init__(
            f"Removing {path!r} would destroy work: {at_stake.summary()}. "
            "Commit or copy it, keep the worktree, or force the removal."
        )
        self.path = path
        self.at_stake = at_stake


class RemovalBlockedError(SpinneyError):
    """A worktree may not be removed, not even by force."""

    code = "REMOVAL_BLOCKED"

    def __init__(self, path: str, reasons: Sequence[str]) -> None:
        super().__init__(f"{path!r} cannot be removed: {'; '.join(reasons)}. Resolve that first.")
        self.path = path
        self.reasons = tuple(reasons)


class WorkspaceError(SpinneyError):
    """The workspace provider could not do what was asked."""

    code = "WORKSPACE_FAILED"


class InvalidWorkspaceError(WorkspaceError):
    """The workspace is nothing that the workspace provider can work in."""

    code = "INVALID_WORKSPACE"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"Workspace {path!r} cannot be used: {reason}")
        self.path = path
        self.reason = reason


class WorktreeMissingError(WorkspaceError):
    """The worktree of a session is gone and cannot be re-created."""

    code = "WORKTREE_MISSING"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"Worktree {path!r} is missing: {reason}")
        self.path = path
        self.reason = reason


class StoreError(SpinneyError):
    """The store could not read or write; what was stored before is intact."""

    code = "STORE_FAILED"


class StoreBusyError(StoreError):
    """The store's lock could not be had within the bounded wait; nothing was changed."""

    code = "STORE_BUSY"


class CommitOutcomeUnknownError(StoreError):
    """A commit failed at a point where it may be durable or not.

    Load again to learn which; undo nothing before.
    """

    code = "COMMIT_OUTCOME_UNKNOWN"


class StoreVersionError(StoreError):
    """The stored data was written by a newer version; it was not touched."""

    code = "STORE_VERSION"

    def __init__(self, where: str, found: str, supported: str) -> None:
        super().__init__(
            f"{where!r} has version {found}; this spinney reads up to {supported}. "
            "Upgrade spinney; the file was not touched."
        )
        self.where = where
        self.found = found
        self.supported = supported


class CorruptStoreError(StoreError):
    """The stored data cannot be believed. Nothing was deleted or overwritten.

    Attributes:
        where: what is corrupt, for a person (a path).
        reason: what is wrong with it.
        token: identifies the very content found corrupt, for ``SessionStore.replace_corrupt``.
        salvage: the sessions that could still be read from it, perhaps none.
    """

    code = "STORE_CORRUPT"

    def __init__(
        self, where: str, reason: str, token: str, salvage: Sequence[Session] = ()
    ) -> None:
        super().__init__(f"{where!r} is corrupt ({reason}). Rebuild it from the worktrees.")
        self.where = where
        self.reason = reason
        self.token = token
        self.salvage = tuple(salvage)


class ClaimHeldError(StoreError):
    """The claim on a session is held by another living process, or that cannot be excluded."""

    code = "CLAIM_HELD"

    def __init__(self, session_id: str, *, certain: bool = True) -> None:
        what = "is held" if certain else "may be held"
        super().__init__(f"The claim on session {session_id} {what} by another process.")
        self.session_id = session_id
        self.certain = certain


class TerminalError(SpinneyError):
    """A terminal could not do what was asked."""

    code = "TERMINAL_FAILED"


class SpawnError(TerminalError):
    """A process could not be started."""

    code = "SPAWN_FAILED"

    def __init__(self, command: Sequence[str], reason: str) -> None:
        super().__init__(f"Cannot start {' '.join(command)!r}: {reason}.")
        self.command = tuple(command)
        self.reason = reason


class CommandNotFoundError(SpawnError):
    """The command does not exist or may not be executed."""

    code = "COMMAND_NOT_FOUND"


class WorkingDirectoryError(SpawnError):
    """The working directory of the process does not exist or cannot be entered."""

    code = "WORKING_DIRECTORY"


class TerminalClosedError(TerminalError):
    """The terminal's process has ended, or the terminal was closed."""

    code = "TERMINAL_CLOSED"


class LineTooLongError(TerminalError):
    """A line is longer than a terminal in canonical mode keeps; it would vanish silently."""

    code = "LINE_TOO_LONG"

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"A line of {length} bytes would be cut by the terminal, which keeps {limit}. "
            "Send shorter lines."
        )
        self.length = length
        self.limit = limit


class TerminalBusyError(TerminalError):
    """The process does not read its terminal; part of a write may have been accepted.

    Attributes:
        written: how many bytes were accepted before the deadline.
    """

    code = "TERMINAL_BUSY"

    def __init__(self, written: int, total: int) -> None:
        super().__init__(
            f"The process does not read its terminal: {written} of {total} bytes accepted."
        )
        self.written = written
        self.total = total


class ConfigurationError(SpinneyError):
    """A configuration value is wrong, or its key is unknown.

    Attributes:
        key: dotted key that is wrong.
        suggestion: the known key nearest to it, if one is near.
    """

    code = "CONFIGURATION"

    def __init__(self, key: str, reason: str, *, known: Sequence[str] = ()) -> None:
        self.suggestion = nearest(key.rpartition(".")[2], known)
        hint = f" Did you mean {self.suggestion!r}?" if self.suggestion else ""
        super().__init__(f"Configuration {key!r}: {reason}.{hint}")
        self.key = key
        self.reason = reason


class PluginError(SpinneyError):
    """Root of what can be wrong with plugins and the providers they offer."""

    code = "PLUGIN_FAILED"


class ProviderNotFoundError(PluginError):
    """The configuration names a provider that no loaded plugin offers."""

    code = "PROVIDER_NOT_FOUND"

    def __init__(self, role: str, name: str, available: Sequence[str], reason: str = "") -> None:
        offered = ", ".join(sorted(available)) or "none"
        why = f" {reason}." if reason else ""
        super().__init__(
            f"There is no {role} provider {name!r}; available: {offered}.{why}"
            f"{_did_you_mean(name, available)} Install the plugin that offers it, or choose another."
        )
        self.role = role
        self.name = name
        self.available = tuple(available)
        self.reason = reason


class DuplicateProviderError(PluginError):
    """Two plugins offer a provider of the same role and name."""

    code = "DUPLICATE_PROVIDER"

    def __init__(self, role: str, name: str, distributions: Sequence[str]) -> None:
        super().__init__(
            f"The {role} provider {name!r} is offered by {' and '.join(distributions)}. "
            "Uninstall or block one of them."
        )
        self.role = role
        self.name = name
        self.distributions = tuple(distributions)


class ProviderCycleError(PluginError):
    """Providers wrap each other in a circle."""

    code = "PROVIDER_CYCLE"

    def __init__(self, chain: Sequence[str]) -> None:
        super().__init__(f"Providers open each other in a circle: {' -> '.join(chain)}.")
        self.chain = tuple(chain)


class ProviderFailedError(PluginError):
    """A provider could not be opened, or failed in the background."""

    code = "PROVIDER_FAILED"

    def __init__(self, role: str, name: str, reason: str) -> None:
        super().__init__(f"The {role} provider {name!r} failed: {reason}")
        self.role = role
        self.name = name
        self.reason = reason


class UnsupportedCapabilityError(PluginError):
    """A provider was asked for something optional that it does not declare."""

    code = "UNSUPPORTED_CAPABILITY"

    def __init__(self, provider: str, capability: str) -> None:
        super().__init__(f"{provider} does not support {capability!r}.")
        self.provider = provider
        self.capability = capability


class UnsupportedPlatformError(SpinneyError):
    """This platform lacks something that spinney cannot do without."""

    code = "UNSUPPORTED_PLATFORM"

    def __init__(self, what: str, platform: str) -> None:
        super().__init__(f"{what} does not work on {platform}.")
        self.what = what
        self.platform = platform


class ManagerClosedError(SpinneyError):
    """The manager is not open: use it inside ``async with SessionManager(...)``."""

    code = "MANAGER_CLOSED"

    def __init__(self) -> None:
        super().__init__("The session manager is not open. Use it inside `async with`.")
