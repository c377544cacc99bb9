"""The flow that creates a session, and undoes every step when one fails or is cancelled."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from anyio import CancelScope, move_on_after
from anyio.lowlevel import checkpoint_if_cancelled
from pydantic import JsonValue

from spinney import naming
from spinney._parts import Parts
from spinney._restoring import settle_reservations
from spinney._running import Running, command_for, spawn, with_process
from spinney.errors import (
    BranchInUseError,
    BranchTakenError,
    CommitOutcomeUnknownError,
    SessionLimitError,
)
from spinney.events import SessionCreated, SessionCreating, SessionCreationFailed
from spinney.model import (
    Changes,
    Details,
    Reservation,
    Session,
    SessionStatus,
    Snapshot,
    now,
)
from spinney.ports import MarkerState, Size, Terminal, WorktreePlan, WorktreeRequest
from spinney.providers import Role, chosen_name

_ATTEMPTS = 100
_CANDIDATES = 64
_UNDO_PATIENCE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the caller of ``create_session`` asked for."""

    name: str | None = None
    branch: str | None = None
    command: Sequence[str] | None = None
    base: str | None = None
    existing: bool = False
    share: bool = False
    start: bool = True
    env: Mapping[str, str] | None = None
    size: Size = Size()
    current_phase: str | None = None
    metadata: Mapping[str, JsonValue] | None = None


class _NameTakenMeanwhileError(Exception):
    """Another process took the generated name first."""


class _Undo:
    """The steps to take back, last first; what cannot be taken back is said."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        self.left_behind: list[str] = []

    def push(self, what: str, step: Callable[[], Awaitable[object]]) -> None:
        self._steps.append((what, step))

    def forget(self, *whats: str) -> None:
        self._steps = [step for step in self._steps if step[0] not in whats]

    async def run(self) -> None:
        with CancelScope(shield=True):
            for what, step in reversed(self._steps):
                with move_on_after(_UNDO_PATIENCE) as scope:
                    try:
                        await step()
                    except Exception as error:
                        self.left_behind.append(f"{what}: {error}")
                if scope.cancelled_caught:
                    self.left_behind.append(f"{what}: took too long")


async def create(parts: Parts, wish: Wish) -> Session:
    """Create a session; see :meth:`spinney.SessionManager.create_session`."""
    started = time.monotonic()
    creation = _Creation(parts, wish)
    try:
        session = await creation.run()
    except BaseException as error:
        with CancelScope(shield=True):
            await creation.undo.run()
            await parts.hooks.session_creation_failed(
                SessionCreationFailed(
                    workspace=parts.workspace,
                    name=creation.name,
                    branch=creation.branch,
                    error=error,
                    duration=time.monotonic() - started,
                    session_id=creation.id,
                    left_behind=tuple(creation.undo.left_behind),
                )
            )
        raise
    with CancelScope(shield=True):
        await parts.hooks.session_created(
            SessionCreated(
                workspace=parts.workspace, session=session, duration=time.monotonic() - started
            )
        )
    return parts.ledger.get(session.id) or session


@dataclass(slots=True)
class _Creation:
    """One creation on its way."""

    parts: Parts
    wish: Wish
    id: str = field(default_factory=lambda: str(uuid4()))
    name: str | None = None
    branch: str | None = None
    undo: _Undo = field(default_factory=_Undo)

    async def run(self) -> Session:
        parts, wish = self.parts, self.wish
        self.name = naming.check_name(wish.name) if wish.name else None
        self.branch = wish.branch or None
        command = command_for(parts, wish.command)
        await self._admit()
        await parts.hooks.session_creating(
            SessionCreating(
                workspace=parts.workspace,
                name=self.name,
                branch=self.branch,
                base=wish.base,
                existing=wish.existing,
                command=command,
                metadata=dict(wish.metadata or {}),
            )
        )
        self.undo.push("claim", lambda: parts.claims.give_back(self.id))
        await parts.claims.take(self.id)
        session, plan = await self._reserve(command)
        self.undo.push("marker", self._forget)
        if plan is not None:
            await self._create_worktree(plan)
        async with parts.providers.use(Role.RECOVERY) as recovery:
            await recovery.remember(session, MarkerState.CREATING)
        terminal: Terminal | None = None
        if wish.start:
            terminal = await spawn(parts, session, wish.env, wish.size)
            self.undo.push("process", lambda: _end(parts, terminal))
            session = with_process(parts, session, terminal)
        await checkpoint_if_cancelled()
        with CancelScope(shield=True):
            await self._publish(session, terminal)
        return session

    async def _admit(self) -> None:
        """Refuse early what the reservation would refuse, before any plugin is asked."""
        if self._full(self.parts.ledger.snapshot) and self._full(await self.parts.ledger.refresh()):
            await settle_reservations(self.parts)
            if self._full(self.parts.ledger.snapshot):
                raise SessionLimitError(self.parts.config.max_sessions)

    def _full(self, snapshot: Snapshot) -> bool:
        taken = len(snapshot.sessions) + len(snapshot.reservations)
        return taken >= self.parts.config.max_sessions

    async def _reserve(self, command: tuple[str, ...]) -> tuple[Session, WorktreePlan | None]:
        """Take a place, a name and a branch; settle once what dead creators left, and retry."""
        self.undo.push("reservation", self._release)
        settled = False
        async with self.parts.admission:
            for _ in range(_ATTEMPTS):
                try:
                    return await self._try_to_reserve(command)
                except _NameTakenMeanwhileError:
                    continue
                except (SessionLimitError, BranchTakenError, BranchInUseError):
                    if settled or not await settle_reservations(self.parts):
                        raise
                    settled = True
        raise BranchTakenError(self.branch or "")

    async def _try_to_reserve(
        self, command: tuple[str, ...]
    ) -> tuple[Session, WorktreePlan | None]:
        parts, wish = self.parts, self.wish
        generated = not wish.name
        snapshot = await parts.ledger.refresh()
        if self._full(snapshot):
            raise SessionLimitError(parts.config.max_sessions)
        name = wish.name or await self._free_name(snapshot)
        branch = wish.branch or naming.branch_of(name)
        self.name, self.branch = name, branch
        shared = self._sharing(snapshot, branch)
        try:
            plan = None if shared else await self._plan(branch)
        except BranchTakenError as error:
            if generated and not wish.branch:
                raise _NameTakenMeanwhileError from error
            raise
        moment = now()
        session = Session(
            id=self.id,
            name=name,
            status=SessionStatus.IDLE,
            branch=branch,
            worktree_path=shared.worktree_path if shared else _path(plan),
            created_at=moment,
            last_activity=moment,
            current_phase=wish.current_phase,
            metadata=dict(wish.metadata) if wish.metadata is not None else None,
            details=Details(
                command=command,
                terminal=chosen_name(parts.config, Role.TERMINAL) if wish.start else None,
            ),
        )
        reservation = Reservation(
            id=self.id,
            name=name,
            branch=branch,
            worktree_path=session.worktree_path,
            creates_branch=plan is not None and plan.creates_branch,
            base_oid=plan.base_oid if plan else None,
            created_at=moment,
        )

        def transaction(snapshot: Snapshot) -> Changes:
            if self._full(snapshot):
                raise SessionLimitError(parts.config.max_sessions)
            if generated and name in _names(snapshot):
                raise _NameTakenMeanwhileError
            self._check_branch(snapshot, branch)
            if shared and not _joinable(snapshot.sessions.get(shared.id)):
                raise BranchInUseError(branch, shared.worktree_path, shared.id)
            return Changes(reserve=(reservation,))

        await parts.ledger.change(transaction)
        return session, plan

    async def _free_name(self, snapshot: Snapshot) -> str:
        """Return the lowest generated name that is free among sessions and branches."""
        today = datetime.now(UTC).date()
        names, held = _names(snapshot), {holder.branch for holder in _holders(snapshot)}
        first = 1
        while True:
            numbers = range(first, first + _CANDIDATES)
            candidates = [naming.generated_name(today, number) for number in numbers]
            async with self.parts.providers.use(Role.WORKSPACE) as workspace:
                taken = await workspace.taken([naming.branch_of(name) for name in candidates])
            taken |= held
            for name in candidates:
                if name not in names and naming.branch_of(name) not in taken:
                    return name
            first += _CANDIDATES

    async def _plan(self, branch: str) -> WorktreePlan:
        request = WorktreeRequest(self.id, branch, self.wish.base, self.wish.existing)
        async with self.parts.providers.use(Role.WORKSPACE) as workspace:
            return await workspace.plan(request)

    def _sharing(self, snapshot: Snapshot, branch: str) -> Session | None:
        """Return the session whose worktree this one shall share, if any."""
        if not (self.wish.share and self.wish.existing):
            return None
        return next((s for s in snapshot.sessions.values() if s.branch == branch), None)

    def _check_branch(self, snapshot: Snapshot, branch: str) -> None:
        for holder in _holders(snapshot):
            if holder.branch != branch or holder.id == self.id:
                continue
            if not self.wish.existing:
                raise BranchTakenError(branch, holder.id)
            if not (self.wish.share and isinstance(holder, Session)):
                raise BranchInUseError(branch, holder.worktree_path, holder.id)

    async def _create_worktree(self, plan: WorktreePlan) -> None:
        self.undo.push("worktree", lambda: self._discard(plan))
        async with self.parts.providers.use(Role.WORKSPACE) as workspace:
            await workspace.create(plan)

    async def _publish(self, session: Session, terminal: Terminal | None) -> None:
        parts = self.parts

        def transaction(_snapshot: Snapshot) -> Changes:
            return Changes(put=(session,), release=frozenset({session.id}))

        try:
            await parts.ledger.change(transaction)
        except CommitOutcomeUnknownError:
            # It may be stored: only the next start can tell, from reservation and marker.
            self.undo.forget("reservation", "worktree", "marker")
            raise
        if terminal is not None:
            Running(parts, session.id, terminal).watch()
            parts.follow()
        else:
            await parts.claims.give_back(session.id)
        await parts.markers.write(session, MarkerState.LIVE)

    async def _forget(self) -> None:
        if self.undo.left_behind:
            return
        async with self.parts.providers.use(Role.RECOVERY) as recovery:
            await recovery.forget(self.id)

    async def _release(self) -> None:
        if self.undo.left_behind:
            return  # what was left behind is settled at the next start, by this reservation
        await self.parts.ledger.change(
            lambda newest: Changes(release=frozenset({self.id} & newest.reservations.keys()))
        )

    async def _discard(self, plan: WorktreePlan) -> None:
        async with self.parts.providers.use(Role.WORKSPACE) as workspace:
            at_stake = await workspace.discard(plan)
        if at_stake:
            self.undo.left_behind.append(f"worktree {plan.path}: {at_stake.summary()}")


async def _end(parts: Parts, terminal: Terminal | None) -> None:
    if terminal is not None:
        async with parts.providers.use(Role.TERMINAL):
            await terminal.terminate(parts.config.terminate_grace)


def _joinable(session: Session | None) -> bool:
    return session is not None and not session.details.removing


def _path(plan: Any) -> str:
    return str(plan.path)


def _holders(snapshot: Snapshot) -> list[Session | Reservation]:
    return [*snapshot.sessions.values(), *snapshot.reservations.values()]


def _names(snapshot: Snapshot) -> set[str]:
    return {holder.name for holder in _holders(snapshot)}
