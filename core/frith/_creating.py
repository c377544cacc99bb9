"""The flow that creates a session, and undoes every step when one fails or is cancelled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import uuid4

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

from frith._admitting import Admission, Wish
from frith._claims import Owned
from frith._parts import Parts
from frith._reaching import forget
from frith._running import Running, command_for, spawn, with_process
from frith._undo import Undo
from frith.errors import CommitOutcomeUnknownError
from frith.events import SessionCreated, SessionCreating, SessionCreationFailed
from frith.model import Changes, Session, SessionId, Snapshot
from frith.ports import MarkerState, Terminal, WorktreePlan
from frith.providers import Role


async def create(parts: Parts, wish: Wish) -> Session:
    """Create a session; see :meth:`frith.SessionManager.create_session`."""
    started = time.monotonic()
    session_id = str(uuid4())
    admission = Admission(parts, wish, session_id, wish.name or None, wish.branch or None)
    creation = _Creation(parts, wish, admission, session_id)
    try:
        session = await creation.run()
    except BaseException as error:
        with CancelScope(shield=True):
            await creation.take_back()
            await parts.hooks.session_creation_failed(
                SessionCreationFailed(
                    workspace=parts.workspace,
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
        parts, wish, admission = self.parts, self.wish, self.admission
        command = command_for(parts, wish.command)
        await admission.check()
        await parts.hooks.session_creating(
            SessionCreating(
                workspace=parts.workspace,
                name=admission.name,
                branch=admission.branch,
                base=wish.base,
                existing=wish.existing,
                command=command,
                metadata=wish.metadata or {},
            )
        )
        self.claim = claim = await parts.claims.take(self.id)
        self.undo.push("claim", lambda: parts.claims.give_back(claim))
        self.undo.push("reservation", self._release)
        session, plan = await admission.reserve(command)
        self.undo.push("marker", self._forget)
        if plan is not None:
            await self._create_worktree(plan)
        async with parts.providers.use(Role.RECOVERY) as recovery:
            await recovery.remember(session, MarkerState.CREATING)
        terminal: Terminal | None = None
        claim.check()
        if wish.start:
            terminal = spawned = await spawn(parts, session, wish.env, wish.size)
            self.undo.push("process", lambda: _end(parts, session, spawned))
            session = with_process(parts, session, terminal)
        await checkpoint_if_cancelled()
        with CancelScope(shield=True):
            await self._publish(claim, session, terminal)
        return session

    async def _create_worktree(self, plan: WorktreePlan) -> None:
        self.undo.push("worktree", lambda: self._discard(plan))
        async with self.parts.providers.use(Role.WORKSPACE) as workspace:
            await workspace.create(plan)

    async def _publish(self, claim: Owned, session: Session, terminal: Terminal | None) -> None:
        parts = self.parts

        def transaction(_snapshot: Snapshot) -> Changes:
            return Changes(put=(session,), release=frozenset({session.id}))

        try:
            await parts.ledger.change(transaction, claim=claim)
        except CommitOutcomeUnknownError:
            # It may be stored: only the next start can tell, from reservation and marker.
            self.undo.forget("reservation", "worktree", "marker")
            raise
        if terminal is not None:
            Running(parts, claim, terminal).watch()
            parts.follow()
        await parts.markers.write(session, MarkerState.LIVE)
        if terminal is None:
            await parts.claims.give_back(claim)

    async def _forget(self) -> None:
        if self.undo.left_behind:
            return
        async with self.parts.providers.use(Role.RECOVERY) as recovery:
            await recovery.forget(self.id)

    async def _release(self) -> None:
        if self.undo.left_behind:
            return  # what was left behind is settled at the next start, by this reservation
        await self.parts.ledger.change(
            lambda newest: Changes(release=frozenset({self.id} & newest.reservations.keys())),
            claim=self.claim,
        )

    async def _discard(self, plan: WorktreePlan) -> None:
        async with self.parts.providers.use(Role.WORKSPACE) as workspace:
            at_stake = await workspace.discard(plan)
        if at_stake:
            self.undo.left_behind.append(f"worktree {plan.path}: {at_stake.summary()}")


async def _end(parts: Parts, session: Session, terminal: Terminal) -> None:
    async with parts.providers.use(Role.TERMINAL):
        await terminal.terminate(parts.config.terminate_grace)
    await forget(parts, session)
