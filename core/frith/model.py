"""The session record and the value objects around it.

A :class:`Session` is immutable, its metadata included; a change makes a new one. Python names are
snake_case, the JSON is camelCase. Fields that are not known here survive a round trip, because
other programs and later versions write there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    PlainSerializer,
)
from pydantic.alias_generators import to_camel
from pydantic.functional_validators import AfterValidator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from frith._immutable import FrozenDict, changed, frozen

SessionId: TypeAlias = str
"""A UUID v4 in its canonical text form."""

_UUID4 = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class SessionStatus(StrEnum):
    """The activity of a session."""

    ACTIVE = "active"
    """Its process is working."""
    WAITING = "waiting"
    """Its process waits for the user."""
    IDLE = "idle"
    """It has no process, or one that has long been silent."""
    ERROR = "error"
    """Its process failed: a non-zero exit code, or a signal from elsewhere."""
    STOPPED = "stopped"
    """The user ended it, or its process ended with exit code 0."""


def format_timestamp(moment: datetime) -> str:
    """Return ``moment`` as ISO 8601 in UTC with milliseconds and ``Z``."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def _to_milliseconds(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_to_milliseconds),
    PlainSerializer(format_timestamp, return_type=str, when_used="json"),
]
"""A moment in UTC, kept to the millisecond; JSON ``2025-11-24T10:30:00.000Z``."""


def now() -> datetime:
    """Return the present moment as a :data:`Timestamp` keeps it."""
    return _to_milliseconds(datetime.now(UTC))


class _Record(BaseModel):
    __pydantic_extra__: dict[str, Annotated[Any, AfterValidator(frozen)]] = Field(init=False)

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    @property
    def model_extra(self) -> dict[str, Any] | None:
        """The unknown fields, which cannot be changed."""
        return FrozenDict(self.__pydantic_extra__ or {})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with the changes of ``update``, whose values are not validated."""
        changes = {name: frozen(item) for name, item in (update or {}).items()}
        return super().model_copy(update=changes, deep=deep)


class ExitStatus(_Record):
    """How a process ended: exactly one of ``code`` and ``signal`` is given."""

    code: int | None = None
    """Exit code, 0 to 255."""
    signal: int | None = None
    """Number of the signal that killed it."""

    def __str__(self) -> str:
        return f"exit code {self.code}" if self.signal is None else f"signal {self.signal}"


class Owner(_Record):
    """The process that owns a session, for diagnosis only; the claim tells whether it is alive."""

    pid: int
    """Process id, in the owner's own pid namespace."""
    start_time: str | None = None
    """Start time of the process from the kernel, to recognize a reused pid."""
    boot_id: str | None = None
    """Boot id of the machine while the process ran."""
    host: str | None = None
    """Host name."""


class Source(StrEnum):
    """The source of a status, the strongest first."""

    TOLD = "told"
    """A program, a plugin or the user reported it."""
    PROCESS = "process"
    """The process runs, reads from its terminal, or has ended."""
    SCREEN = "screen"
    """The last output."""
    TIME = "time"
    """The time since the last output."""


class Evidence(_Record):
    """The evidence for the status of a session."""

    status: SessionStatus
    """The status that this is about. If the session has another one, another program set that."""
    source: Source
    confidence: float = 1.0
    """From 0 to 1."""
    message: str | None = None
    """The question or message for the user."""
    since: Timestamp
    """When the session got this status."""


class Details(_Record):
    """Data of a session that only frith uses; stored apart from the agreed schema."""

    command: tuple[str, ...] | None = None
    """The command last started, as an argument vector."""
    terminal: str | None = None
    """Name of the terminal provider that runs or ran the process."""
    terminal_ref: Annotated[dict[str, JsonValue], AfterValidator(frozen)] | None = None
    """The reference by which that provider finds its process again; opaque to all other code."""
    desired: SessionStatus | None = None
    """The status that a process which does not own the session asks its owner for."""
    removing: bool | None = None
    """Whether its worktree is being removed, so that no session may join it."""
    exit: ExitStatus | None = None
    """The exit status of the last process."""
    owner: Owner | None = None
    """The last owner of the session."""
    evidence: Evidence | None = None
    """The evidence for the status, and the time since when it holds."""
    stuck_since: Timestamp | None = None
    """When the last output came, if the process has been silent for long since then."""

    def to_record(self) -> dict[str, Any]:
        """Return this as a JSON object, without the reference that only the provider reads."""
        return self.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude={"terminal_ref"}
        )


class Session(_Record):
    """One session: a name, a branch, a worktree and, while it runs, a process. Immutable."""

    id: Annotated[str, Field(pattern=_UUID4)]
    name: str
    status: SessionStatus
    branch: str
    worktree_path: str
    """Absolute path of its worktree."""
    pty_pid: int | None = None
    """Process id of its process, only while one runs."""
    created_at: Timestamp
    last_activity: Timestamp
    current_phase: str | None = None
    metadata: Annotated[Mapping[str, JsonValue], AfterValidator(frozen)] | None = None
    details: Details = Field(default=Details(), exclude=True, repr=False)
    """Never part of the record that other programs read."""

    def evolve(self, **changes: Any) -> Session:
        """Return a copy with ``changes``, by Python field name; values are not validated."""
        return self.model_copy(update=changes)

    def detail(self, **changes: Any) -> Session:
        """Return a copy whose :attr:`details` carry ``changes``."""
        return self.model_copy(update={"details": self.details.model_copy(update=changes)})

    @property
    def evidence(self) -> Evidence | None:
        """The evidence for the status; ``None`` if it is unknown because another program set it."""
        evidence = self.details.evidence
        return evidence if evidence is not None and evidence.status == self.status else None

    def conclude(
        self,
        status: SessionStatus,
        source: Source,
        *,
        confidence: float = 1.0,
        message: str | None = None,
    ) -> Session:
        """Return a copy with this status and its evidence; ``since`` stays if it had the status."""
        known = self.evidence
        since = known.since if known is not None and status == self.status else now()
        evidence = Evidence(
            status=status, source=source, confidence=confidence, message=message, since=since
        )
        return self.evolve(status=status).detail(evidence=evidence, stuck_since=None)

    def to_record(self) -> dict[str, Any]:
        """Return the agreed JSON record: camelCase, absent fields left out, no details.

        Metadata and unknown fields are not copied.
        """
        optional = {
            "ptyPid": self.pty_pid,
            "createdAt": format_timestamp(self.created_at),
            "lastActivity": format_timestamp(self.last_activity),
            "currentPhase": self.current_phase,
            "metadata": self.metadata,
        }
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status.value,
            "branch": self.branch,
            "worktreePath": self.worktree_path,
            **{key: value for key, value in optional.items() if value is not None},
            **(self.__pydantic_extra__ or {}),
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the key ``frith``, under which other records hold the details."""
        reference = handler(schema)
        described = handler.resolve_ref_schema(reference)
        described["properties"]["frith"] = handler(Details.__pydantic_core_schema__)
        return reference


class Reservation(_Record):
    """A place reserved for a session that is being created, so that the limit holds meanwhile."""

    id: SessionId
    name: str
    branch: str
    worktree_path: str
    creates_branch: bool
    """Whether the branch is new; only such a branch may be undone."""
    base_oid: str | None = None
    """Commit at which the branch or worktree starts; ``None`` in an unborn repository."""
    created_at: Timestamp


class Integrity(StrEnum):
    """How far a store trusts the state that it has read."""

    VERIFIED = "verified"
    """Exactly what frith wrote."""
    MISSING = "missing"
    """Nothing is stored: a new workspace, or a lost file."""
    FOREIGN = "foreign"
    """Written by another program or an older version; it has no checksum."""
    MISMATCH = "mismatch"
    """Readable, but the checksum does not match: edited by hand, or damaged."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a store holds, at one revision."""

    sessions: Mapping[SessionId, Session] = field(default_factory=lambda: MappingProxyType({}))
    reservations: Mapping[SessionId, Reservation] = field(
        default_factory=lambda: MappingProxyType({})
    )
    revision: int = 0
    """Grows with every commit; 0 when nothing was ever stored."""
    integrity: Integrity = Integrity.VERIFIED
    commits: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The id of the last commit of each of the last :data:`HOSTS_REMEMBERED` hosts, the latest at
    the end. A host whose commit had an unknown outcome looks here whether it is stored, because
    the contents may have changed since."""
    fences: Mapping[SessionId, int] = field(
        default_factory=lambda: MappingProxyType({}), compare=False, repr=False
    )
    """The fence of the newest claim on each session. Only in the state that a transaction is given,
    and only while it runs; a store may look up each fence when it is read."""


HOSTS_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Commit:
    """The identity of a commit."""

    host: str
    """A random id of the manager that makes it."""
    id: str
    """A random id of the commit."""

    def added_to(self, commits: Mapping[str, str]) -> Mapping[str, str]:
        """Return ``commits`` with this one as the last of its host."""
        others = [(host, id_) for host, id_ in commits.items() if host != self.host]
        last = [*others, (self.host, self.id)][-HOSTS_REMEMBERED:]
        return MappingProxyType(dict(last))


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a snapshot by a transaction. Empty changes write nothing."""

    put: tuple[Session, ...] = ()
    """Sessions to add or replace, whole."""
    delete: frozenset[SessionId] = frozenset()
    """Sessions to remove."""
    reserve: tuple[Reservation, ...] = ()
    """Reservations to add or replace."""
    release: frozenset[SessionId] = frozenset()
    """Reservations to remove."""
    commit: Commit | None = None
    """Stored with the changes; alone it is not a change."""

    def __bool__(self) -> bool:
        return bool(self.put or self.delete or self.reserve or self.release)

    def apply(self, snapshot: Snapshot) -> Snapshot:
        """Return ``snapshot`` with these changes, its revision one higher if there are any.

        It costs what is changed, not what there is.
        """
        if not self:
            return snapshot
        return Snapshot(
            changed(snapshot.sessions, {s.id: s for s in self.put}, self.delete),
            changed(snapshot.reservations, {r.id: r for r in self.reserve}, self.release),
            snapshot.revision + 1,
            Integrity.VERIFIED,
            self.commit.added_to(snapshot.commits) if self.commit else snapshot.commits,
        )


@dataclass(frozen=True, slots=True)
class AtStake:
    """The work that removing a worktree would destroy. Paths are relative to the worktree."""

    staged: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Ignored files that no ``disposable`` setting names."""
    commits: tuple[str, ...] = ()
    """Commits that no ref would reach any more."""
    operation: str | None = None
    """A merge, rebase, bisect, … in progress."""
    submodules: tuple[str, ...] = ()
    """For each submodule at stake, its path and why."""
    blocked: tuple[str, ...] = ()
    """Reasons for which it may not be removed even by force."""

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)

    def summary(self) -> str:
        """Return one line for the user, at most three names of each kind."""
        parts = []
        for name in self.__slots__:
            value: tuple[str, ...] | str | None = getattr(self, name)
            if isinstance(value, tuple) and value:
                shown = ", ".join(value[:3]) + (", …" if len(value) > 3 else "")
                parts.append(f"{len(value)} {name} ({shown})")
        if self.operation:
            parts.append(f"{self.operation} in progress")
        return "; ".join(parts) or "nothing"
