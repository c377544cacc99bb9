"""What lies outside of any manager: disk, repository, processes; and every step can be disturbed.

Several managers may share one :class:`World`, as processes do; it outlives them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import uuid4

from anyio import CancelScope, Event
from anyio.lowlevel import checkpoint

from frith.errors import CorruptStoreError
from frith.model import (
    AtStake,
    Integrity,
    Reservation,
    Session,
    SessionId,
    SessionStatus,
    Snapshot,
    now,
)
from frith.ports import Claim, Marker, MarkerState, Presence
from frith.providers import Role

if TYPE_CHECKING:
    from .fakes import FakeTerminal, FakeWatch

WORKSPACE = "/workspace"


@dataclass(eq=False)
class Watcher:
    """A watcher of the store: waits until another store object has written."""

    store: object
    changed: Event = field(default_factory=Event)


@dataclass
class World:
    """Everything that managers see of each other."""

    snapshot: Snapshot = field(default_factory=lambda: Snapshot(integrity=Integrity.MISSING))
    corrupt: CorruptStoreError | None = None
    claims: dict[SessionId, int] = field(default_factory=dict)
    fences: dict[SessionId, int] = field(default_factory=dict)
    issued: dict[SessionId, Claim] = field(default_factory=dict)
    """The newest claim on each session, as its owner has it."""
    contexts: dict[SessionId, CancelScope] = field(default_factory=dict)
    """Cancel one to let the store notice that its claim was taken by another process."""
    unknown_holders: set[SessionId] = field(default_factory=set)
    expired_holders: set[SessionId] = field(default_factory=set)
    """Sessions whose holder's lease has run out; a host of the same machine may claim them."""
    holder_info: str = ""
    watchers: list[Watcher] = field(default_factory=list)
    branches: set[str] = field(default_factory=lambda: {"main"})
    worktrees: dict[str, str] = field(default_factory=dict)
    presence: dict[SessionId, Presence] = field(default_factory=dict)
    at_stake: dict[str, AtStake] = field(default_factory=dict)
    """The work in a worktree, by its path."""
    markers: dict[SessionId, Marker] = field(default_factory=dict)
    terminals: list[FakeTerminal] = field(default_factory=list)
    watches: dict[SessionId, FakeWatch] = field(default_factory=dict)
    """The watch over the process of each session."""
    adoptable: bool = False
    """Whether processes outlive the managers that started them."""
    forgotten: set[SessionId] = field(default_factory=set)
    """The sessions of whose ended processes nothing is kept any more."""
    leftovers: dict[SessionId, tuple[int, ...]] = field(default_factory=dict)
    """Process ids that a dead host left behind."""
    calls: list[str] = field(default_factory=list)
    """Every step, in order."""
    faults: dict[str, list[Exception | None]] = field(default_factory=dict)
    """What the next calls of a step raise, ``None`` for nothing."""
    meanwhile: dict[str, list[Callable[[], Awaitable[object]]]] = field(default_factory=dict)
    """What happens elsewhere while the next calls of a step are on their way."""
    collapses: dict[Role, Event] = field(default_factory=lambda: {role: Event() for role in Role})
    """Set one to let the open providers of that role fail in the background."""
    loads: int = 0
    writes: int = 0
    bound: str | None = None
    """The store that the workspace is bound to."""

    async def step(self, name: str) -> None:
        """Take a step: record it, let others run, fail if told so."""
        self.calls.append(name)
        await checkpoint()
        if self.meanwhile.get(name):
            await self.meanwhile[name].pop(0)()
        self.fail(name)

    def fail(self, name: str) -> None:
        """Raise the next fault of ``name``, if any."""
        fault = self.faults[name].pop(0) if self.faults.get(name) else None
        if fault is not None:
            raise fault

    def sessions(self) -> list[Session]:
        """Return what is stored."""
        return list(self.snapshot.sessions.values())

    def stored(self, session_id: SessionId) -> Session:
        """Return one stored session."""
        return self.snapshot.sessions[session_id]

    def living(self) -> list[FakeTerminal]:
        """Return the terminals whose process runs."""
        return [terminal for terminal in self.terminals if terminal.status is None]

    def write(self, *sessions: Session, integrity: Integrity = Integrity.VERIFIED) -> None:
        """Store these sessions and no others, as another process would."""
        stored = MappingProxyType({session.id: session for session in sessions})
        revision = self.snapshot.revision + 1
        commits = self.snapshot.commits
        self.put(Snapshot(stored, self.snapshot.reservations, revision, integrity, commits))

    def put(self, snapshot: Snapshot, by: object = None) -> None:
        """Store ``snapshot``, and notify all watchers except the writer's."""
        self.snapshot = snapshot
        for watcher in self.watchers:
            if watcher.store is not by:
                watcher.changed.set()

    def reserve(self, *reservations: Reservation) -> None:
        """Store these reservations too, as a process that died since did."""
        self.snapshot = Snapshot(
            self.snapshot.sessions,
            MappingProxyType({reservation.id: reservation for reservation in reservations}),
            self.snapshot.revision + 1,
            commits=self.snapshot.commits,
        )

    def take_away(self, session_id: SessionId, *, noticed: bool = True) -> None:
        """Claim a session for another process, although it is claimed."""
        self.fences[session_id] += 1
        self.claims[session_id] = self.fences[session_id]
        if noticed:
            self.contexts[session_id].cancel()

    def vanish(self) -> None:
        """Remove the stored state, as ``rm`` would."""
        self.snapshot = Snapshot(integrity=Integrity.MISSING)

    def inhabit(self, session: Session, state: MarkerState = MarkerState.LIVE) -> Session:
        """Give ``session`` a worktree on its branch, with a marker."""
        self.worktrees[session.worktree_path] = session.branch
        self.branches.add(session.branch)
        self.markers[session.id] = Marker(session, state)
        return session

    def nothing_left(self) -> bool:
        """Tell that there is no session, worktree, branch, process, claim or marker."""
        return not (
            self.snapshot.sessions
            or self.snapshot.reservations
            or self.worktrees
            or self.branches - {"main"}
            or self.living()
            or self.claims
            or self.markers
        )


def a_session(name: str = "one", **changes: object) -> Session:
    """Return a session as it is once its process was stopped."""
    session_id, moment = str(uuid4()), now()
    session = Session(
        id=session_id,
        name=name,
        status=SessionStatus.STOPPED,
        branch=f"feature/{name}",
        worktree_path=f"{WORKSPACE}/.worktrees/{session_id}",
        created_at=moment,
        last_activity=moment,
    )
    return session.detail(command=("agent",), terminal="fake").evolve(**changes)


def as_running(session: Session, pid: int = 4711) -> Session:
    """Return ``session`` as its owner records it while its process runs."""
    running = session.evolve(status=SessionStatus.ACTIVE, pty_pid=pid)
    return running.detail(terminal_ref={"pid": pid})


def a_reservation(session: Session, *, creates_branch: bool = True) -> Reservation:
    """Return the place that the creator of ``session`` took."""
    return Reservation(
        id=session.id,
        name=session.name,
        branch=session.branch,
        worktree_path=session.worktree_path,
        creates_branch=creates_branch,
        base_oid="0" * 40,
        created_at=session.created_at,
    )
