"""Lifecycle events: the argument of each lifecycle hook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import JsonValue

from frith._immutable import frozen
from frith.model import AtStake, Evidence, ExitStatus, Session, SessionId, SessionStatus
from frith.records import ERROR, Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Recorded):
    """Base of all events."""

    workspace: str
    """Absolute path of the workspace."""

    @property
    def event(self) -> str:
        """Its name, such as ``session_created``; its hook is ``frith_session_created``."""
        return _snake_case(type(self).__name__)

    @classmethod
    def derived_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of :attr:`event`."""
        return {"event": {"const": _snake_case(cls.__name__)}}


@cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCreating(Event):
    """A session is about to be created. May be vetoed."""

    name: str | None
    """As given; ``None`` if one will be generated."""
    branch: str | None
    """As given; ``None`` if it follows from the name."""
    base: str | None = None
    existing: bool = False
    command: tuple[str, ...] = ()
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freeze the metadata: the session is created with the same."""
        object.__setattr__(self, "metadata", frozen(self.metadata))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCreated(Event):
    """A session was created; its record is durable."""

    session: Session
    duration: float
    """Seconds that the creation took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCreationFailed(Event):
    """A session was not created; every step was undone."""

    name: str | None
    branch: str | None
    error: ERROR
    duration: float
    session_id: SessionId | None = None
    left_behind: tuple[str, ...] = ()
    """The steps that could not be undone, for the user; the next start reports them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatusChanged(Event):
    """This process changed the status of a session."""

    session: Session
    previous: SessionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUpdated(Event):
    """This process changed the name, phase, metadata or last activity of a session."""

    session: Session
    before: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionWaiting(Event):
    """A session waits for the user. Only the process that owns it announces that, once."""

    session: Session
    evidence: Evidence
    """The source of the status, and the question to the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStuck(Event):
    """The process of a session has been silent for long, and does not wait for the user."""

    session: Session
    silent: float
    """Seconds since its last output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChangedElsewhere(Event):
    """Another process created, changed or destroyed a session."""

    before: Session | None
    """``None`` if it is new."""
    after: Session | None
    """``None`` if it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDestroying(Event):
    """A session is about to be destroyed. May be vetoed."""

    session: Session
    cleanup: bool
    """Whether its worktree will be removed."""
    force: bool
    at_stake: AtStake = AtStake()
    """The work that removing the worktree would destroy; empty without ``cleanup``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLost(Event):
    """This manager no longer owns a session; another may run its process."""

    session: Session
    """As last known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDestroyed(Event):
    """A session was destroyed, and its record durably removed."""

    session: Session
    cleanup: bool
    """Whether its worktree was removed."""
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsRestored(Event):
    """The sessions of the workspace were loaded at start."""

    sessions: tuple[Session, ...]
    missing: tuple[SessionId, ...] = ()
    """Sessions whose worktree is missing."""
    moved: tuple[SessionId, ...] = ()
    """Sessions whose worktree is at another path than recorded."""
    swept: tuple[int, ...] = ()
    """Process ids left behind by a dead host that were ended."""
    notes: tuple[str, ...] = ()
    """Everything else that was found and done, for the user."""
    duration: float = 0.0
    adopted: tuple[SessionId, ...] = ()
    """Sessions whose process outlived its host, and was taken over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCorrupted(Event):
    """The stored state is damaged or was edited; recovery follows."""

    where: str
    """The file, or else the workspace."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsRecovered(Event):
    """The state was rebuilt from the markers."""

    sessions: tuple[Session, ...]
    reason: str
    incomplete: tuple[SessionId, ...] = ()
    """Sessions whose marker was incomplete."""
    duration: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExited(Event):
    """The process of a session ended and its output is drained."""

    session: Session
    exit: ExitStatus
