"""The claims that this manager holds, each in a task of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from anyio import CancelScope, Event

from frith._engine.open_providers import Providers
from frith._engine.reactions import Reactions
from frith._engine.tasks import Tasks
from frith.errors import (
    ClaimDoubtfulError,
    ClaimHeldError,
    ClaimLostError,
    FrithError,
    ManagerClosedError,
    SessionOwnedError,
)
from frith.logs import log
from frith.model import SessionId, Snapshot
from frith.ports import Claim, Holder
from frith.providers import Role


@dataclass(slots=True, eq=False)
class HeldClaim:
    """The claim on a session, from when it was taken until it is given back or lost."""

    session_id: SessionId
    is_lost: bool = False
    """Whether the claim has ended by itself, or a newer one was found."""
    _next: HeldClaim | None = None
    """The next claim of this manager on the same session."""
    _claim: Claim | None = None
    _error: FrithError | None = None
    _decided: Event = field(default_factory=Event)
    _released: Event = field(default_factory=Event)
    _done: Event = field(default_factory=Event)

    def check(self, newest: Snapshot | None = None) -> None:
        """Check that the claim still holds. May be called in any thread.

        Args:
            newest: the state that a transaction is given, which names the newest claim.

        Raises:
            ClaimLostError: it does not.
            ClaimDoubtfulError: the store cannot tell now.
        """
        held = self
        while (following := held._next) is not None:  # given back, and taken again here
            held = following
        claim = held._claim
        if claim is None and held is not self:  # just being taken again
            raise ClaimDoubtfulError(self.session_id)
        if claim is None or self.is_lost or held.is_lost:
            raise ClaimLostError(self.session_id)
        if claim.is_doubtful:
            raise ClaimDoubtfulError(self.session_id)
        if newest is not None and newest.fences.get(self.session_id, claim.fence) != claim.fence:
            held.is_lost = self.is_lost = True  # before the store has noticed
            raise ClaimLostError(self.session_id)

    def release(self) -> None:
        """Have the claim end soon, without waiting for it."""
        self._released.set()


class Claims:
    """Takes and gives back claims; a task may take one and another give it back."""

    def __init__(self, tasks: Tasks, providers: Providers, reactions: Reactions) -> None:
        self._tasks = tasks
        self._providers = providers
        self._reactions = reactions
        self._held: dict[SessionId, HeldClaim] = {}
        self._last: dict[SessionId, HeldClaim] = {}

    async def take(self, session_id: SessionId) -> HeldClaim:
        """Claim the session for this manager.

        Raises:
            SessionOwnedError: it is claimed already, or that cannot be excluded.
        """
        if session_id in self._held:
            raise SessionOwnedError(session_id)
        held = self._held[session_id] = HeldClaim(session_id)
        before = self._last.get(session_id)
        if before is not None:
            before._next = held
        task = self._tasks.start(self._hold, held)
        try:
            await held._decided.wait()
        except BaseException:
            await task.cancel()
            raise
        finally:
            if held._claim is None and before is not None:
                before._next = None
        if held._error is not None:
            raise held._error
        self._last[session_id] = held
        return held

    async def give_back(self, held: HeldClaim) -> None:
        """Release the claim, if it is still held; it is released on return, even if cancelled."""
        held.release()
        with CancelScope(shield=True):
            await held._done.wait()

    async def holder(self, session_id: SessionId) -> Holder:
        """Tell whether the session is claimed, by this or any other process."""
        if session_id in self._held:
            return Holder.HELD
        async with self._providers.use(Role.STORE) as store:
            return await store.holder(session_id)

    async def _describe_holder(self, session_id: SessionId) -> str:
        try:
            async with self._providers.use(Role.STORE) as store:
                return await store.holder_info(session_id)
        except FrithError:
            return ""

    async def give_all_back(self) -> None:
        """Release every claim; when cancelled, stop waiting for the store."""
        every = tuple(self._held.values())
        for held in every:
            held.release()
        for held in every:
            await held._done.wait()

    async def _hold(self, held: HeldClaim) -> None:
        try:
            await self._hold_until_released(held)
        except ClaimHeldError as error:
            holder = await self._describe_holder(held.session_id)
            held._error = SessionOwnedError(held.session_id, certain=error.certain, holder=holder)
            held._error.__cause__ = error
        except FrithError as error:
            held._error = error
        finally:
            if held._claim is None and held._error is None:
                held._error = ManagerClosedError()  # this task was ended while it claimed
            del self._held[held.session_id]
            held._done.set()
            held._decided.set()
        if held._claim is not None and (held.is_lost or not held._released.is_set()):
            held.is_lost = True
            log.error("claim_lost", session_id=held.session_id, reason=str(held._error))
            self._reactions.claim_lost(held)
        elif held._claim is not None and held._error is not None:
            reason = str(held._error)
            log.error("claim_not_released", session_id=held.session_id, reason=reason)

    async def _hold_until_released(self, held: HeldClaim) -> None:
        async with (
            self._providers.use(Role.STORE) as store,
            store.claim(held.session_id) as held._claim,
        ):
            held._decided.set()
            await held._released.wait()
