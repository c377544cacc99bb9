"""Reactions of a manager to changes of other processes, lost claims and a damaged store."""

from __future__ import annotations

from frith._engine.claims import HeldClaim
from frith._engine.context import Engine
from frith._engine.processes import Ending
from frith._engine.reactions import Reactions
from frith._flows.rebuild import recover, verify
from frith._flows.takeover import await_takeover
from frith.errors import FrithError, StoreError
from frith.events import SessionChangedElsewhere, SessionLost
from frith.logs import log
from frith.model import Session, SessionId, SessionStatus, Snapshot


class ManagerReactions(Reactions):
    """The reactions of an open manager; what may wait runs in a task of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def rebuild(self, cause: StoreError) -> Snapshot:
        """See :meth:`Reactions.rebuild`."""
        return await recover(self._engine, cause)

    def state_doubted(self, snapshot: Snapshot) -> None:
        """Compare the stored state with the markers."""
        self._engine.tasks.start(self._verify, snapshot)

    def session_changed(self, before: Session | None, after: Session | None) -> None:
        """Meet the request that the change is, if it is one, and call the hook."""
        self._engine.processes.forget_replaced(before, after)
        self._engine.tasks.start(self._respond, before, after)

    def session_stored(self, session_id: SessionId) -> None:
        """Update the marker; let the provider forget a process whose end is stored now."""
        self._engine.markers.write_later(session_id)
        self._engine.processes.collect_stored(session_id)

    def claim_lost(self, claim: HeldClaim) -> None:
        """Give up the session without ending, sweeping or writing anything."""
        engine = self._engine
        process = engine.processes.get(claim.session_id)
        if process is not None and process.claim is claim:
            process.lose()
        engine.ledger.deferred.drop(claim)
        engine.markers.forget(claim.session_id)
        session = engine.ledger.get(claim.session_id)
        if session is not None:
            event = SessionLost(workspace=engine.workspace, session=session)
            engine.tasks.start(engine.hooks.notify, event)
            await_takeover(engine, session)

    async def _verify(self, snapshot: Snapshot) -> None:
        log.warning("state_not_verified", reason=snapshot.integrity.value)
        try:
            await verify(self._engine, snapshot)
        except FrithError as error:
            log.error("state_not_checked", reason=str(error))

    async def _respond(self, before: Session | None, after: Session | None) -> None:
        process = self._engine.processes.owned(after.id) if after is not None else None
        if after is not None and process is not None:
            if after.details.desired is SessionStatus.STOPPED:
                try:
                    await process.end(Ending.STOP)
                except FrithError as error:
                    log.error("request_not_met", session_id=after.id, reason=str(error))
            elif before is not None and after.evidence != before.evidence:
                process.tell(after)
        if after is not None:
            await_takeover(self._engine, after)
        await self._engine.hooks.notify(
            SessionChangedElsewhere(workspace=self._engine.workspace, before=before, after=after)
        )
