"""Typed, isolated and timed calls of lifecycle hooks.

Plugins are awaited one by one, in the order of their names, the host's own last. A failure is
logged with its plugin's name and goes no further; only a veto does.
"""

from __future__ import annotations

from anyio import CancelScope, fail_after

from spinney._loading import HookImplementation, Plugins
from spinney.errors import SessionVetoed, VetoHookFailedError
from spinney.events import (
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
from spinney.logs import log


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
        await self._ask("spinney_session_creating", event, self._refuse_broken_creating)

    async def session_destroying(self, event: SessionDestroying) -> None:
        """Ask every plugin whether the destruction may go on.

        Raises:
            SessionVetoed: one says no; those after it are not asked.
            VetoHookFailedError: one broke or hung, and the worktree would be removed.
        """
        await self._ask("spinney_session_destroying", event, event.cleanup)

    async def session_created(self, event: SessionCreated) -> None:
        """Tell every plugin."""
        await self._tell("spinney_session_created", event)

    async def session_creation_failed(self, event: SessionCreationFailed) -> None:
        """Tell every plugin."""
        await self._tell("spinney_session_creation_failed", event)

    async def session_status_changed(self, event: SessionStatusChanged) -> None:
        """Tell every plugin."""
        await self._tell("spinney_session_status_changed", event)

    async def session_updated(self, event: SessionUpdated) -> None:
        """Tell every plugin."""
        await self._tell("spinney_session_updated", event)

    async def session_waiting(self, event: SessionWaiting) -> None:
        """Tell every plugin."""
        await self._tell("spinney_session_waiting", event)

    async def session_stuck(self, event: SessionStuck) -> None:
        """Tell every plugin."""
        await self._tell("spinney_session_stuck", event)

    async def session_changed_elsewhere(self, event: SessionChangedElsewhere) -> None:
        """Tell every plugin."""
        await self._tell("spinney_session_changed_elsewhere", event)

    async def session_lost(self, event: SessionLost) -> None:
        """Tell every plugin."""
        await self._tell("spinney_session_lost", event)

    async def session_destroyed(self, event: SessionDestroyed) -> None:
        """Tell every plugin."""
        await self._tell("spinney_session_destroyed", event)

    async def sessions_restored(self, event: SessionsRestored) -> None:
        """Tell every plugin."""
        await self._tell("spinney_sessions_restored", event)

    async def store_corrupted(self, event: StoreCorrupted) -> None:
        """Tell every plugin."""
        await self._tell("spinney_store_corrupted", event)

    async def sessions_recovered(self, event: SessionsRecovered) -> None:
        """Tell every plugin."""
        await self._tell("spinney_sessions_recovered", event)

    async def process_exited(self, event: ProcessExited) -> None:
        """Tell every plugin."""
        await self._tell("spinney_process_exited", event)

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
        scope: CancelScope | None = None
        try:
            with fail_after(self._timeout) as scope:
                await implementation.call(event)
        except SessionVetoed as veto:
            if may_veto:
                raise SessionVetoed(veto.reason, implementation.plugin) from veto
            failure = f"raised {veto!r}, though this hook may not veto"
        except (Exception, SystemExit) as error:
            timed_out = isinstance(error, TimeoutError) and scope and scope.cancelled_caught
            failure = f"took longer than {self._timeout} s" if timed_out else f"raised {error!r}"
        else:
            return None
        log.error("hook_failed", hook=hook, plugin=implementation.plugin, reason=failure)
        return failure
