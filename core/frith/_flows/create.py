"""Creating a session, and undoing every step when one fails or is cancelled."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

from anyio import CancelScope, move_on_after
from anyio.lowlevel import checkpoint_if_cancelled

from frith._engine.claims import HeldClaim
from frith._engine.context import Engine
from frith._engine.processes import RunningProcess
from frith._flows.reserve import CreateRequest, PendingSession
from frith._flows.terminals import command_for, end_spawned, spawn, with_process
from frith.errors import CommitOutcomeUnknownError
from frith.events import SessionCreated, SessionCreating, SessionCreationFailed
from frith.model import Changes, Session, Snapshot
from frith.ports import MarkerState, Terminal, WorktreePlan
from frith.providers import Role

_PATIENCE = 30.0
"""Seconds that undoing one step may take."""


async def create(engine: Engine, request: CreateRequest) -> Session:
    """Create a session; see :meth:`frith.SessionManager.create_session`."""
    started = time.monotonic()
    pending = PendingSession(
        engine, request, str(uuid4()), request.name or None, request.branch or None
    )
    creation = _Creation(engine, pending)
    try:
        session = await creation.run()
    except BaseException as error:
        with CancelScope(shield=True):
            await creation.take_back()
            await engine.hooks.notify(
                SessionCreationFailed(
                    workspace=engine.workspace,
                    name=pending.name,
                    branch=pending.branch,
                    error=error,
                    duration=time.monotonic() - started,
                    session_id=pending.id,
                    left_behind=tuple(creation.undo.left_behind),
                )
            )
        raise
    with CancelScope(shield=True):
        await engine.hooks.notify(
            SessionCreated(
                workspace=engine.workspace, session=session, duration=time.monotonic() - started
            )
        )
    return engine.ledger.get(session.id) or session


class Undo:
    """The steps to undo, the last one first."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        self.left_behind: list[str] = []
        """The steps that could not be undone, for the user."""

    def push(self, name: str, step: Callable[[], Awaitable[object]]) -> None:
        """Add a step; ``name`` is for :meth:`forget` and for the user."""
        self._steps.append((name, step))

    def forget(self, *names: str) -> None:
        """Do not undo these steps."""
        self._steps = [step for step in self._steps if step[0] not in names]

    async def run(self) -> None:
        """Undo every step; one that fails is noted in :attr:`left_behind`."""
        with CancelScope(shield=True):
            for name, step in reversed(self._steps):
                with move_on_after(_PATIENCE) as scope:
                    try:
                        await step()
                    except Exception as error:
                        self.left_behind.append(f"{name}: {error}")
                if scope.cancelled_caught:
                    self.left_behind.append(f"{name}: took too long")


@dataclass(slots=True)
class _Creation:
    """One creation under way."""

    engine: Engine
    pending: PendingSession
    undo: Undo = field(default_factory=Undo)
    claim: HeldClaim | None = None

    async def take_back(self) -> None:
        """Undo what was done so far, except what another host may have taken over."""
        if self.claim is not None and self.claim.is_lost:
            self.undo.forget("reservation", "worktree", "marker")
        await self.undo.run()

    async def run(self) -> Session:
        engine, request, pending = self.engine, self.pending.request, self.pending
        command = command_for(engine, request.command)
        await pending.check()
        event = SessionCreating(
            workspace=engine.workspace,
            name=pending.name,
            branch=pending.branch,
            base=request.base,
            existing=request.existing,
            command=command,
            metadata=request.metadata or {},
        )
        refuse_broken = engine.config.broken_creating_hook == "refuse"
        await engine.hooks.ask(event, refuse_broken=refuse_broken)
        self.claim = claim = await engine.claims.take(pending.id)
        self.undo.push("claim", lambda: engine.claims.give_back(claim))
        self.undo.push("reservation", self._release)
        session, plan = await pending.reserve(command)
        self.undo.push("marker", self._forget)
        if plan is not None:
            await self._create_worktree(plan)
        async with engine.providers.use(Role.RECOVERY) as recovery:
            await recovery.remember(session, MarkerState.CREATING)
        terminal: Terminal | None = None
        claim.check()
        if request.start:
            terminal = spawned = await spawn(engine, session, request.env, request.size)
            self.undo.push("process", lambda: end_spawned(engine, claim, session, spawned))
            session = with_process(engine, session, terminal)
        await checkpoint_if_cancelled()
        with CancelScope(shield=True):
            await self._publish(claim, session, terminal)
        return session

    async def _create_worktree(self, plan: WorktreePlan) -> None:
        self.undo.push("worktree", lambda: self._discard(plan))
        async with self.engine.providers.use(Role.WORKSPACE) as workspace:
            await workspace.create(plan)

    async def _publish(self, claim: HeldClaim, session: Session, terminal: Terminal | None) -> None:
        engine = self.engine

        def transaction(_snapshot: Snapshot) -> Changes:
            return Changes(put=(session,), release=frozenset({session.id}))

        try:
            await engine.ledger.change(transaction, claim=claim)
        except CommitOutcomeUnknownError:
            # It may be stored: only the next start can tell, from reservation and marker.
            self.undo.forget("reservation", "worktree", "marker")
            raise
        if terminal is not None:
            RunningProcess(engine, claim, terminal).watch()
        await engine.markers.write(session, MarkerState.LIVE)
        if terminal is None:
            await engine.claims.give_back(claim)

    async def _forget(self) -> None:
        if self.undo.left_behind:
            return
        async with self.engine.providers.use(Role.RECOVERY) as recovery:
            await recovery.forget(self.pending.id)

    async def _release(self) -> None:
        if self.undo.left_behind:
            return  # the next start settles what was left behind, by this reservation
        mine = {self.pending.id}
        await self.engine.ledger.change(
            lambda newest: Changes(release=frozenset(mine & newest.reservations.keys())),
            claim=self.claim,
        )

    async def _discard(self, plan: WorktreePlan) -> None:
        async with self.engine.providers.use(Role.WORKSPACE) as workspace:
            at_stake = await workspace.discard(plan)
        if at_stake:
            self.undo.left_behind.append(f"worktree {plan.path}: {at_stake.summary()}")
