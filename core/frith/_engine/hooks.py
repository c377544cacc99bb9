"""Typed, isolated and timed calls of lifecycle hooks.

Plugins are awaited one by one, in the order of their names, the host's own last. A failure is
logged with its plugin's name and goes no further; only a veto does. A hook that does not end when
its time is up is abandoned.
"""

from __future__ import annotations

from frith._engine.hook_call import Apart
from frith._failures import described
from frith.errors import SessionVetoed, VetoHookFailedError
from frith.events import (
    Event,
    ProcessExited,
    SessionChangedElsewhere,
    SessionCreated,
    SessionCreating,
    SessionCreationFailed,
    SessionDestroyed,
    SessionDestroying,
    SessionLost,
    SessionsRecovered,
    SessionsRestored,
    SessionStatusChanged,
    SessionStuck,
    SessionUpdated,
    SessionWaiting,
    StoreCorrupted,
)
from frith.logs import log
from frith.plugins import HookImplementation, Plugins

LONGEST_STEP = 1.0
"""Seconds for which a hook may block the event loop before that is logged."""


class Hooks:
    """Every lifecycle hook as a method."""

    def __init__(self, plugins: Plugins, timeout: float, *, refuse_broken_creating: bool) -> None:
        self._plugins = plugins
        self._timeout = timeout
        self._refuse_broken_creating = refuse_broken_creating

    async def session_creating(self, event: SessionCreating) -> None:
        """Ask every plugin whether the creation may go on.

        Raises:
            SessionVetoed: one says no; those after it are not asked.
            VetoHookFailedError: one broke or hung, and the configuration says to refuse then.
        """
        await self._ask("frith_session_creating", event, self._refuse_broken_creating)

    async def session_destroying(self, event: SessionDestroying) -> None:
        """Ask every plugin whether the destruction may go on.

        Raises:
            SessionVetoed: one says no; those after it are not asked.
            VetoHookFailedError: one broke or hung, and the worktree would be removed.
        """
        await self._ask("frith_session_destroying", event, event.cleanup)

    async def session_created(self, event: SessionCreated) -> None:
        """Tell every plugin."""
        await self._tell("frith_session_created", event)

    async def session_creation_failed(self, event: SessionCreationFailed) -> None:
        """Tell every plugin."""
        await self._tell("frith_session_creation_failed", event)

    async def session_status_changed(self, event: SessionStatusChanged) -> None:
        """Tell every plugin."""
        await self._tell("frith_session_status_changed", event)

    async def session_updated(self, event: SessionUpdated) -> None:
        """Tell every plugin."""
        await self._tell("frith_session_updated", event)

    async def session_waiting(self, event: SessionWaiting) -> None:
        """Tell every plugin."""
        await self._tell("frith_session_waiting", event)

    async def session_stuck(self, event: SessionStuck) -> None:
        """Tell every plugin."""
        await self._tell("frith_session_stuck", event)

    async def session_changed_elsewhere(self, event: SessionChangedElsewhere) -> None:
        """Tell every plugin."""
        await self._tell("frith_session_changed_elsewhere", event)

    async def session_lost(self, event: SessionLost) -> None:
        """Tell every plugin."""
        await self._tell("frith_session_lost", event)

    async def session_destroyed(self, event: SessionDestroyed) -> None:
        """Tell every plugin."""
        await self._tell("frith_session_destroyed", event)

    async def sessions_restored(self, event: SessionsRestored) -> None:
        """Tell every plugin."""
        await self._tell("frith_sessions_restored", event)

    async def store_corrupted(self, event: StoreCorrupted) -> None:
        """Tell every plugin."""
        await self._tell("frith_store_corrupted", event)

    async def sessions_recovered(self, event: SessionsRecovered) -> None:
        """Tell every plugin."""
        await self._tell("frith_sessions_recovered", event)

    async def process_exited(self, event: ProcessExited) -> None:
        """Tell every plugin."""
        await self._tell("frith_process_exited", event)

    async def _tell(self, hook: str, event: Event) -> None:
        for implementation in self._plugins.implementations(hook):
            await self._call(hook, implementation, event)

    async def _ask(self, hook: str, event: Event, refuse_broken: bool) -> None:
        for implementation in self._plugins.implementations(hook):
            failure = await self._call(hook, implementation, event, may_veto=True)
            if failure is not None and refuse_broken:
                raise VetoHookFailedError(implementation.plugin, failure)

    async def _call(
        self,
        hook: str,
        implementation: HookImplementation,
        event: Event,
        *,
        may_veto: bool = False,
    ) -> str | None:
        """Call one implementation; return how it failed, ``None`` if it did not."""
        apart = Apart(lambda: implementation.call(event), self._timeout)
        try:
            await apart.run()
        finally:
            failure = self._failure_of(apart, may_veto=may_veto)
            if failure is not None:
                log.error("hook_failed", hook=hook, plugin=implementation.plugin, reason=failure)
            if apart.longest_step >= min(LONGEST_STEP, self._timeout):
                log.warning(
                    "hook_blocked_event_loop",
                    hook=hook,
                    plugin=implementation.plugin,
                    seconds=round(apart.longest_step, 3),
                )
        if may_veto and isinstance(apart.error, SessionVetoed):
            raise SessionVetoed(apart.error.reason, implementation.plugin) from apart.error
        return failure

    def _failure_of(self, apart: Apart, *, may_veto: bool) -> str | None:
        late = f"took longer than {self._timeout} s" if apart.is_overdue else ""
        if apart.is_abandoned:
            lead = f"{late}, and" if late else ""
            return f"{lead} does not end when it is cancelled: it is abandoned".lstrip()
        if isinstance(apart.error, SessionVetoed):
            veto = described(apart.error)
            return None if may_veto else f"raised {veto}, though this hook may not veto"
        if late or apart.error is None:
            return late or None
        return f"raised {described(apart.error)}"
