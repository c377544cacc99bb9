"""Reserving the name, the branch and the place of a new session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from pydantic import JsonValue

from frith import naming
from frith._engine.context import Engine
from frith._flows.unfinished import settle_reservations
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
    SessionId,
    SessionStatus,
    Snapshot,
    now,
)
from frith.ports import Size, WorktreePlan, WorktreeRequest
from frith.providers import Role

_ATTEMPTS = 100
_CANDIDATES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """The arguments of :meth:`frith.SessionManager.create_session`."""

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
class PendingSession:
    """A session that is being created: its id, and its name and branch as given or chosen."""

    engine: Engine
    request: CreateRequest
    id: SessionId
    name: str | None = None
    branch: str | None = None

    async def check(self) -> None:
        """Refuse early, before any plugin is asked, what reserving would refuse.

        Raises:
            InvalidNameError: the name cannot be used.
            SessionLimitError: the workspace is full.
        """
        if self.name is not None:
            naming.check_name(self.name)
        ledger = self.engine.ledger
        if self._is_full(ledger.snapshot) and self._is_full(await ledger.refresh()):
            await settle_reservations(self.engine)
            if self._is_full(ledger.snapshot):
                raise SessionLimitError(self.engine.config.max_sessions)

    def _is_full(self, snapshot: Snapshot) -> bool:
        taken = len(snapshot.sessions) + len(snapshot.reservations)
        return taken >= self.engine.config.max_sessions

    async def reserve(self, command: tuple[str, ...]) -> tuple[Session, WorktreePlan | None]:
        """Reserve a place, a name and a branch.

        If that is refused, reservations of dead processes are settled, and it is tried again once.

        Returns the new session and the plan of its worktree, ``None`` if it shares one.

        Raises:
            SessionLimitError: the workspace is full.
            FrithError: the branch or its base is not as asked, or a step failed.
        """
        settled = False
        async with self.engine.reserving:
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
        engine, request = self.engine, self.request
        generated = not request.name
        snapshot = await engine.ledger.refresh()
        if self._is_full(snapshot):
            raise SessionLimitError(engine.config.max_sessions)
        name = request.name or await self._free_name(snapshot)
        branch = request.branch or naming.branch_of(name)
        self.name, self.branch = name, branch
        self._check_branch(snapshot, branch)  # before git, which does not know the sessions
        shared = self._session_to_share(snapshot, branch)
        try:
            plan = None if shared else await self._plan(branch)
        except BranchBlockedError:
            raise  # the next number would be blocked, too
        except BranchTakenError as error:
            if generated and not request.branch:
                raise _NameTakenMeanwhileError from error
            raise
        moment = now()
        session = Session(
            id=self.id,
            name=name,
            status=SessionStatus.IDLE,
            branch=branch,
            worktree_path=shared.worktree_path if shared else plan.path if plan else "",
            created_at=moment,
            last_activity=moment,
            current_phase=request.current_phase,
            details=Details(
                command=command,
                terminal=engine.config.terminal if request.start else None,
            ),
        ).evolve(metadata=request.metadata)  # the store refuses what is not JSON
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
            if self._is_full(snapshot):
                raise SessionLimitError(engine.config.max_sessions)
            if generated and any(holder.name == name for holder in _holders(snapshot)):
                raise _NameTakenMeanwhileError
            self._check_branch(snapshot, branch)
            if shared is not None:
                current = snapshot.sessions.get(shared.id)
                if current is None or current.details.removing:
                    raise BranchInUseError(branch, shared.worktree_path, shared.id)
            return Changes(reserve=(reservation,))

        await engine.ledger.change(transaction)
        return session, plan

    async def _free_name(self, snapshot: Snapshot) -> str:
        """Return the lowest generated name that is free among sessions and branches.

        Raises:
            BranchBlockedError: no branch of such a name can exist.
            BranchTakenError: no candidate is free.
        """
        today = datetime.now(UTC).date()
        names = {holder.name for holder in _holders(snapshot)}
        held = {holder.branch for holder in _holders(snapshot)}
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
            if not free and self.request.branch:
                free = [branch for branch in candidates if branch not in held]
            elif not free and lowest:  # beside a branch ``feature`` all of them count as taken
                try:
                    await self._plan(lowest)
                except BranchBlockedError:
                    raise
                except BranchTakenError:
                    pass
            if free:
                return candidates[free[0]]
        raise BranchTakenError(lowest)

    async def _plan(self, branch: str) -> WorktreePlan:
        request = self.request
        wanted = WorktreeRequest(self.id, branch, request.base, request.existing)
        async with self.engine.providers.use(Role.WORKSPACE) as workspace:
            return await workspace.plan(wanted)

    def _session_to_share(self, snapshot: Snapshot, branch: str) -> Session | None:
        if not (self.request.share and self.request.existing):
            return None
        return next((s for s in snapshot.sessions.values() if s.branch == branch), None)

    def _check_branch(self, snapshot: Snapshot, branch: str) -> None:
        for holder in _holders(snapshot):
            if holder.branch != branch or holder.id == self.id:
                continue
            if not self.request.existing:
                raise BranchTakenError(branch, holder.id)
            if not (self.request.share and isinstance(holder, Session)):
                raise BranchInUseError(branch, holder.worktree_path, holder.id)


def _holders(snapshot: Snapshot) -> Iterable[Session | Reservation]:
    return chain(snapshot.sessions.values(), snapshot.reservations.values())
