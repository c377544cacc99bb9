"""The claims that this manager holds, each in a task of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from anyio import CancelScope, Event

from frith._engine.open_providers import Providers
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
class Owned:
    """The ownership of a session, from the moment it was claimed until it is given back or lost."""

    session_id: SessionId
    is_lost: bool = False
    """Whether the claim has ended by itself, or another one was found to be newer."""
    _next: Owned | None = None
    """The ownership by the next claim of the same manager."""
    _claim: Claim | None = None
    _error: FrithError | None = None
    _decided: Event = field(default_factory=Event)
    _release: Event = field(default_factory=Event)
    _done: Event = field(default_factory=Event)

    def check(self, newest: Snapshot | None = None) -> None:
        """See that the session is owned still; ``newest`` is what a transaction finds stored.

        May be called in any thread.

        Raises:
            ClaimLostError: it is not.
            ClaimDoubtfulError: the store cannot tell now.
        """
        owned = self
        while (following := owned._next) is not None:  # given back, and claimed again here
            owned = following
        claim = owned._claim
        if claim is None and owned is not self:  # just being claimed again
            raise ClaimDoubtfulError(self.session_id)
        if claim is None or self.is_lost or owned.is_lost:
            raise ClaimLostError(self.session_id)
        if claim.is_doubtful:
            raise ClaimDoubtfulError(self.session_id)
        if newest is not None and newest.fences.get(self.session_id, claim.fence) != claim.fence:
            owned.is_lost = self.is_lost = True  # before the store has noticed
            raise ClaimLostError(self.session_id)

    def let_go(self) -> None:
        """Have the claim end soon; who owned it need not wait."""
        self._release.set()


class Claims:
    """Takes and gives back claims; a task may take one and another give it back."""

    def __init__(self, tasks: Tasks, providers: Providers, lost: Callable[[Owned], None]) -> None:
        """Hold no claim yet; ``lost`` is called at once when one ends by itself."""
        self._tasks = tasks
        self._providers = providers
        self._lost = lost
        self._owned: dict[SessionId, Owned] = {}
        self._last: dict[SessionId, Owned] = {}

    async def take(self, session_id: SessionId) -> Owned:
        """Claim the session for this manager.

        Raises:
            SessionOwnedError: it is claimed already, or that cannot be excluded.
        """
        if session_id in self._owned:
            raise SessionOwnedError(session_id)
        owned = self._owned[session_id] = Owned(session_id)
        before = self._last.get(session_id)
        if before is not None:
            before._next = owned
        task = self._tasks.start(self._hold, owned)
        try:
            await owned._decided.wait()
        except BaseException:
            await task.cancel()
            raise
        finally:
            if owned._claim is None and before is not None:
                before._next = None
        if owned._error is not None:
            raise owned._error
        self._last[session_id] = owned
        return owned

    async def give_back(self, owned: Owned) -> None:
        """Release the claim, if held still; it is released on return, even if cancelled."""
        owned.let_go()
        with CancelScope(shield=True):
            await owned._done.wait()

    async def holder(self, session_id: SessionId) -> Holder:
        """Tell whether the session is claimed, by this or any other process."""
        if session_id in self._owned:
            return Holder.HELD
        async with self._providers.use(Role.STORE) as store:
            return await store.holder(session_id)

    async def give_all_back(self) -> None:
        """Release every claim; cancelled, do not wait for the store any more."""
        held = tuple(self._owned.values())
        for owned in held:
            owned.let_go()
        for owned in held:
            await owned._done.wait()

    async def _hold(self, owned: Owned) -> None:
        try:
            await self._hold_until_released(owned)
        except ClaimHeldError as error:
            owned._error = SessionOwnedError(owned.session_id, certain=error.certain)
            owned._error.__cause__ = error
        except FrithError as error:
            owned._error = error
        finally:
            if owned._claim is None and owned._error is None:
                owned._error = ManagerClosedError()  # this task was ended while it claimed
            del self._owned[owned.session_id]
            owned._done.set()
            owned._decided.set()
        if owned._claim is not None and (owned.is_lost or not owned._release.is_set()):
            owned.is_lost = True
            log.error("claim_lost", session_id=owned.session_id, reason=str(owned._error))
            self._lost(owned)
        elif owned._claim is not None and owned._error is not None:
            reason = str(owned._error)
            log.error("claim_not_released", session_id=owned.session_id, reason=reason)

    async def _hold_until_released(self, owned: Owned) -> None:
        async with (
            self._providers.use(Role.STORE) as store,
            store.claim(owned.session_id) as owned._claim,
        ):
            owned._decided.set()
            await owned._release.wait()
