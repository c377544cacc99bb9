"""Admitting a new session: its name, its branch and its place within the limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from frith import naming
from frith._engine.context import Engine
from frith._flows.start import settle_reservations
from frith.errors import (
    BranchBlockedError,
    BranchInUseError,
    BranchTakenError,
    SessionLimitError,
)
from frith.model import (
    Changes,
    Details,
    Reservation,
    Session,
    SessionStatus,
    Snapshot,
    now,
)
from frith.ports import Size, WorktreePlan, WorktreeRequest
from frith.providers import Role, chosen_name

_ATTEMPTS = 100
_CANDIDATES = 64


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


@dataclass(slots=True)
class Admission:
    """One wish on its way to a place."""

    engine: Engine
    wish: Wish
    id: str
    name: str | None = None
    """As given, then as chosen."""
    branch: str | None = None
    """As given, then as chosen."""

    async def check(self) -> None:
        """Refuse early what a reservation would refuse, before any plugin is asked.

        Raises:
            InvalidNameError: the name cannot be used.
            SessionLimitError: the workspace is full.
        """
        if self.name is not None:
            naming.check_name(self.name)
        if self._full(self.engine.ledger.snapshot) and self._full(
            await self.engine.ledger.refresh()
        ):
            await settle_reservations(self.engine)
            if self._full(self.engine.ledger.snapshot):
                raise SessionLimitError(self.engine.config.max_sessions)

    def _full(self, snapshot: Snapshot) -> bool:
        taken = len(snapshot.sessions) + len(snapshot.reservations)
        return taken >= self.engine.config.max_sessions

    async def reserve(self, command: tuple[str, ...]) -> tuple[Session, WorktreePlan | None]:
        """Take a place, a name and a branch; settle once what dead creators left, and retry.

        Returns the session to be and the plan of its worktree, ``None`` if it shares one.

        Raises:
            SessionLimitError: the workspace is full.
            FrithError: the branch or its base is not as asked, or a step failed.
        """
        settled = False
        async with self.engine.admission:
            for _ in range(_ATTEMPTS):
                try:
                    return await self._try_to_reserve(command)
                except _NameTakenMeanwhileError:
                    continue
                except (SessionLimitError, BranchTakenError, BranchInUseError):
                    if settled or not await settle_reservations(self.engine):
                        raise
                    settled = True
        raise BranchTakenError(self.branch or "")

    async def _try_to_reserve(
        self, command: tuple[str, ...]
    ) -> tuple[Session, WorktreePlan | None]:
        engine, wish = self.engine, self.wish
        generated = not wish.name
        snapshot = await engine.ledger.refresh()
        if self._full(snapshot):
            raise SessionLimitError(engine.config.max_sessions)
        name = wish.name or await self._free_name(snapshot)
        branch = wish.branch or naming.branch_of(name)
        self.name, self.branch = name, branch
        self._check_branch(snapshot, branch)  # before git, which knows of no session
        shared = self._sharing(snapshot, branch)
        try:
            plan = None if shared else await self._plan(branch)
        except BranchBlockedError:
            raise  # the next number would be blocked, too
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
            worktree_path=_path(shared, plan),
            created_at=moment,
            last_activity=moment,
            current_phase=wish.current_phase,
            details=Details(
                command=command,
                terminal=chosen_name(engine.config, Role.TERMINAL) if wish.start else None,
            ),
        ).evolve(metadata=wish.metadata)  # the store refuses what is no JSON
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
                raise SessionLimitError(engine.config.max_sessions)
            if generated and name in _names(snapshot):
                raise _NameTakenMeanwhileError
            self._check_branch(snapshot, branch)
            if shared and not _joinable(snapshot.sessions.get(shared.id)):
                raise BranchInUseError(branch, shared.worktree_path, shared.id)
            return Changes(reserve=(reservation,))

        await engine.ledger.change(transaction)
        return session, plan

    async def _free_name(self, snapshot: Snapshot) -> str:
        """Return the lowest generated name that is free among sessions and branches.

        Raises:
            BranchBlockedError: no branch of such a name can exist.
            BranchTakenError: none is free among very many.
        """
        today = datetime.now(UTC).date()
        names, held = _names(snapshot), {holder.branch for holder in _holders(snapshot)}
        lowest = ""
        for first in range(1, _ATTEMPTS * _CANDIDATES, _CANDIDATES):
            numbers = range(first, first + _CANDIDATES)
            candidates = {
                naming.branch_of(name): name
                for number in numbers
                if (name := naming.generated_name(today, number)) not in names
            }
            async with self.engine.providers.use(Role.WORKSPACE) as workspace:
                taken = await workspace.taken(tuple(candidates))
            free = [branch for branch in candidates if branch not in taken | held]
            lowest = lowest or next(iter(candidates), "")
            if not free and lowest and await self._is_blocked(lowest):
                free = [branch for branch in candidates if branch not in held]
            if free:
                return candidates[free[0]]
        raise BranchTakenError(lowest)

    async def _is_blocked(self, branch: str) -> bool:
        """Tell whether no generated branch can exist: beside ``feature`` all count as taken.

        Raises:
            BranchBlockedError: that is so, and one of them was to be created.
        """
        try:
            async with self.engine.providers.use(Role.WORKSPACE) as workspace:
                await workspace.plan(WorktreeRequest(self.id, branch, self.wish.base))
        except BranchBlockedError:
            if not self.wish.branch:
                raise
            return True
        except BranchTakenError:
            pass
        return False

    async def _plan(self, branch: str) -> WorktreePlan:
        request = WorktreeRequest(self.id, branch, self.wish.base, self.wish.existing)
        async with self.engine.providers.use(Role.WORKSPACE) as workspace:
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


def _joinable(session: Session | None) -> bool:
    return session is not None and not session.details.removing


def _path(shared: Session | None, plan: WorktreePlan | None) -> str:
    if shared is not None:
        return shared.worktree_path
    return plan.path if plan is not None else ""


def _holders(snapshot: Snapshot) -> list[Session | Reservation]:
    return [*snapshot.sessions.values(), *snapshot.reservations.values()]


def _names(snapshot: Snapshot) -> set[str]:
    return {holder.name for holder in _holders(snapshot)}
