"""The flow that creates a session, and undoes every step when one fails or is cancelled."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

from anyio import CancelScope, move_on_after
from anyio.lowlevel import checkpoint_if_cancelled

from frith._engine.claims import Owned
from frith._engine.context import Engine
from frith._engine.processes import Running, command_for, spawn, with_process
from frith._flows.reserve import Admission, Wish
from frith._flows.terminals import forget
from frith.errors import CommitOutcomeUnknownError
from frith.events import SessionCreated, SessionCreating, SessionCreationFailed
from frith.model import Changes, Session, SessionId, Snapshot
from frith.ports import MarkerState, Terminal, WorktreePlan
from frith.providers import Role

_PATIENCE = 30.0
"""Seconds that undoing one step may take."""


async def create(engine: Engine, wish: Wish) -> Session:
    """Create a session; see :meth:`frith.SessionManager.create_session`."""
    started = time.monotonic()
    session_id = str(uuid4())
    admission = Admission(engine, wish, session_id, wish.name or None, wish.branch or None)
    creation = _Creation(engine, wish, admission, session_id)
    try:
        session = await creation.run()
    except BaseException as error:
        with CancelScope(shield=True):
            await creation.take_back()
            await engine.hooks.session_creation_failed(
                SessionCreationFailed(
                    workspace=engine.workspace,
                    name=admission.name,
                    branch=admission.branch,
                    error=error,
                    duration=time.monotonic() - started,
                    session_id=session_id,
                    left_behind=tuple(creation.undo.left_behind),
                )
            )
        raise
    with CancelScope(shield=True):
        await engine.hooks.session_created(
            SessionCreated(
                workspace=engine.workspace, session=session, duration=time.monotonic() - started
            )
        )
    return engine.ledger.get(session.id) or session


class Undo:
    """The steps to take back, last first; what cannot be taken back is said."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        self.left_behind: list[str] = []

    def push(self, what: str, step: Callable[[], Awaitable[object]]) -> None:
        """Add a step; ``what`` names it, for :meth:`forget` and for a person."""
        self._steps.append((what, step))

    def forget(self, *whats: str) -> None:
        """Leave these steps as they are."""
        self._steps = [step for step in self._steps if step[0] not in whats]

    async def run(self) -> None:
        """Take back every step; one that fails is noted in :attr:`left_behind`."""
        with CancelScope(shield=True):
            for what, step in reversed(self._steps):
                with move_on_after(_PATIENCE) as scope:
                    try:
                        await step()
                    except Exception as error:
                        self.left_behind.append(f"{what}: {error}")
                if scope.cancelled_caught:
                    self.left_behind.append(f"{what}: took too long")


@dataclass(slots=True)
class _Creation:
    """One creation on its way."""

    engine: Engine
    wish: Wish
    admission: Admission
    id: SessionId
    undo: Undo = field(default_factory=Undo)
    claim: Owned | None = None

    async def take_back(self) -> None:
        """Undo what was done so far, but for what another process may have gone on with."""
        if self.claim is not None and self.claim.is_lost:
            self.undo.forget("reservation", "worktree", "marker")
        await self.undo.run()

    async def run(self) -> Session:
        engine, wish, admission = self.engine, self.wish, self.admission
        command = command_for(engine, wish.command)
        await admission.check()
        await engine.hooks.session_creating(
            SessionCreating(
                workspace=engine.workspace,
                name=admission.name,
                branch=admission.branch,
                base=wish.base,
                existing=wish.existing,
                command=command,
                metadata=wish.metadata or {},
            )
        )
        self.claim = claim = await engine.claims.take(self.id)
        self.undo.push("claim", lambda: engine.claims.give_back(claim))
        self.undo.push("reservation", self._release)
        session, plan = await admission.reserve(command)
        self.undo.push("marker", self._forget)
        if plan is not None:
            await self._create_worktree(plan)
        async with engine.providers.use(Role.RECOVERY) as recovery:
            await recovery.remember(session, MarkerState.CREATING)
        terminal: Terminal | None = None
        claim.check()
        if wish.start:
            terminal = spawned = await spawn(engine, session, wish.env, wish.size)
            self.undo.push("process", lambda: _end(engine, session, spawned))
            session = with_process(engine, session, terminal)
        await checkpoint_if_cancelled()
        with CancelScope(shield=True):
            await self._publish(claim, session, terminal)
        return session

    async def _create_worktree(self, plan: WorktreePlan) -> None:
        self.undo.push("worktree", lambda: self._discard(plan))
        async with self.engine.providers.use(Role.WORKSPACE) as workspace:
            await workspace.create(plan)

    async def _publish(self, claim: Owned, session: Session, terminal: Terminal | None) -> None:
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
            Running(engine, claim, terminal).watch()
            engine.follow()
        await engine.markers.write(session, MarkerState.LIVE)
        if terminal is None:
            await engine.claims.give_back(claim)

    async def _forget(self) -> None:
        if self.undo.left_behind:
            return
        async with self.engine.providers.use(Role.RECOVERY) as recovery:
            await recovery.forget(self.id)

    async def _release(self) -> None:
        if self.undo.left_behind:
            return  # what was left behind is settled at the next start, by this reservation
        await self.engine.ledger.change(
            lambda newest: Changes(release=frozenset({self.id} & newest.reservations.keys())),
            claim=self.claim,
        )

    async def _discard(self, plan: WorktreePlan) -> None:
        async with self.engine.providers.use(Role.WORKSPACE) as workspace:
            at_stake = await workspace.discard(plan)
        if at_stake:
            self.undo.left_behind.append(f"worktree {plan.path}: {at_stake.summary()}")


async def _end(engine: Engine, session: Session, terminal: Terminal) -> None:
    async with engine.providers.use(Role.TERMINAL):
        await terminal.terminate(engine.config.terminate_grace)
    await forget(engine, session)
