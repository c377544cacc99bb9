"""The claims that this process holds, each in a task of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from anyio import CancelScope, Event

from spinney._hosting import Providers
from spinney._tasks import Tasks
from spinney.errors import ClaimHeldError, SessionOwnedError, SpinneyError
from spinney.logs import log
from spinney.model import SessionId
from spinney.ports import Holder
from spinney.providers import Role


@dataclass(slots=True)
class _Held:
    error: SpinneyError | None = None
    decided: Event = field(default_factory=Event)
    release: Event = field(default_factory=Event)
    done: Event = field(default_factory=Event)


class Claims:
    """Takes and gives back claims; a task may take one and another give it back."""

    def __init__(self, tasks: Tasks, providers: Providers) -> None:
        self._tasks = tasks
        self._providers = providers
        self._held: dict[SessionId, _Held] = {}

    async def take(self, session_id: SessionId) -> None:
        """Claim the session for this process.

        Raises:
            SessionOwnedError: it is claimed already, or that cannot be excluded.
        """
        if session_id in self._held:
            raise SessionOwnedError(session_id)
        held = self._held[session_id] = _Held()
        task = self._tasks.start(self._hold, session_id, held)
        try:
            await held.decided.wait()
        except BaseException:
            await task.cancel()
            raise
        if held.error is not None:
            raise held.error

    async def give_back(self, session_id: SessionId) -> None:
        """Release the claim, if held; it is released on return, even if cancelled."""
        held = self._held.get(session_id)
        if held is not None:
            held.release.set()
            with CancelScope(shield=True):
                await held.done.wait()

    async def holder(self, session_id: SessionId) -> Holder:
        """Tell whether the session is claimed, by this or any other process."""
        if session_id in self._held:
            return Holder.HELD
        async with self._providers.use(Role.STORE) as store:
            return await store.holder(session_id)

    async def give_all_back(self) -> None:
        """Release every claim."""
        for session_id in list(self._held):
            await self.give_back(session_id)

    async def _hold(self, session_id: SessionId, held: _Held) -> None:
        try:
            async with self._providers.use(Role.STORE) as store, store.claim(session_id):
                held.decided.set()
                await held.release.wait()
        except ClaimHeldError as error:
            held.error = SessionOwnedError(session_id, certain=error.certain)
            held.error.__cause__ = error
        except SpinneyError as error:
            held.error = error
        except Exception as error:
            held.error = SpinneyError(f"The claim on session {session_id} failed: {error!r}")
            held.error.__cause__ = error
        finally:
            self._held.pop(session_id, None)
            held.done.set()
        if held.error is not None and held.decided.is_set():
            log.error("claim_lost", session_id=session_id, reason=str(held.error))
        held.decided.set()
