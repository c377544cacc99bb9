"""Errors of stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frith.errors._root import FrithError, SessionError

if TYPE_CHECKING:
    from frith.model import Session


class StoreError(FrithError):
    """The store could not read or write; the stored state is intact."""

    code = "STORE_FAILED"


class StoreBusyError(StoreError):
    """The store's lock could not be had within the bounded wait; nothing was changed.

    Attributes:
        holder: description of the process that holds the lock, such as
            ``Process 4242 (frith)``; empty if nothing is known.
    """

    code = "STORE_BUSY"
    holder: str

    def __init__(self, reason: str, holder: str = "") -> None:
        super().__init__(reason)
        self.holder = holder


class CommitOutcomeUnknownError(StoreError):
    """A commit failed at a point where it may be durable or not.

    Load the sessions again to find out, before undoing anything.
    """

    code = "COMMIT_OUTCOME_UNKNOWN"


class StoreVersionError(StoreError):
    """The stored data was written by a newer version; it was not changed."""

    code = "STORE_VERSION"
    where: str
    found: str
    supported: str

    def __init__(self, where: str, found: str, supported: str) -> None:
        super().__init__(
            f"{where!r} has version {found}; this frith reads up to {supported}. "
            "Upgrade frith; the file was not changed."
        )
        self.where = where
        self.found = found
        self.supported = supported


class StoreMismatchError(StoreError):
    """The sessions of the workspace are kept in another store; nothing was changed.

    Attributes:
        workspace: path of the workspace.
        bound: identity of the store that it is bound to, see ``SessionStore.identity``.
        configured: identity of the store that this manager is configured for.
        stamp: the place of the binding, for the user (a path).
    """

    code = "STORE_MISMATCH"
    workspace: str
    bound: str
    configured: str
    stamp: str

    def __init__(self, workspace: str, bound: str, configured: str, stamp: str) -> None:
        super().__init__(
            f"The sessions of {workspace!r} are kept in the store {bound!r}, but {configured!r} is "
            f"configured. Configure {bound!r}; or, if it is no longer in use, delete {stamp!r}, "
            f"and the workspace is bound to {configured!r}."
        )
        self.workspace = workspace
        self.bound = bound
        self.configured = configured
        self.stamp = stamp


class CorruptStoreError(StoreError):
    """The stored data is damaged. Nothing was deleted or overwritten.

    Attributes:
        where: the corrupt data, for the user (a path).
        reason: the kind of damage.
        token: identifies the content found corrupt, for ``SessionStore.replace_corrupt``; empty
            for a store that does not declare ``Capability.REPAIR``.
        salvage: the sessions that could still be read from it.
        earlier: the sessions of an earlier state, if one is stored. Their markers may be newer.
    """

    code = "STORE_CORRUPT"
    where: str
    reason: str
    token: str
    salvage: tuple[Session, ...]
    earlier: tuple[Session, ...]

    def __init__(
        self,
        where: str,
        reason: str,
        token: str = "",
        salvage: Sequence[Session] = (),
        earlier: Sequence[Session] = (),
        *,
        remedy: str = "Rebuild it from the worktrees.",
    ) -> None:
        super().__init__(f"{where!r} is corrupt ({reason}). {remedy}")
        self.where = where
        self.reason = reason
        self.token = token
        self.salvage = tuple(salvage)
        self.earlier = tuple(earlier)


class ClaimLostError(StoreError, SessionError):
    """This process no longer owns the session; nothing was changed."""

    code = "CLAIM_LOST"

    def __init__(self, session_id: str) -> None:
        super().__init__(
            "This host no longer owns session {session}: another host may have taken it over. "
            "Nothing was changed. Load the sessions again to see its state.",
            session_id,
        )


class ClaimDoubtfulError(StoreError, SessionError):
    """The store cannot tell now whether this process owns the session; nothing was changed."""

    code = "CLAIM_DOUBTFUL"

    def __init__(self, session_id: str) -> None:
        super().__init__(
            "It is unknown whether this host still owns session {session}, because the store does "
            "not answer. Nothing was changed. Try again when it does.",
            session_id,
        )


class ClaimHeldError(StoreError, SessionError):
    """Another process holds the claim on a session, or that cannot be excluded."""

    code = "CLAIM_HELD"
    certain: bool

    def __init__(self, session_id: str, *, certain: bool = True) -> None:
        what = "is held" if certain else "may be held"
        super().__init__(
            f"The claim on session {{session}} {what} by another process. Stop it there first.",
            session_id,
        )
        self.certain = certain
