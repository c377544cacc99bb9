"""Calls of lifecycle hooks: awaited one by one, isolated and within a bounded time.

Plugins are called in the order of their names, the host's own last. A failure is logged with the
name of its plugin and goes no further; only a veto does.
"""

from __future__ import annotations

import re

from frith._engine.hook_call import HookCall
from frith._failures import described
from frith.errors import SessionVetoed, VetoHookFailedError
from frith.events import Event, SessionCreating, SessionDestroying
from frith.logs import log
from frith.plugins import HOOKS, HookImplementation, Plugins

LONGEST_STEP = 1.0
"""Seconds for which a hook may block the event loop before that is logged."""


class Hooks:
    """Calls the hook that an event is for, in every plugin that implements it."""

    def __init__(self, plugins: Plugins, timeout: float) -> None:
        self._timeout = timeout
        self._implementations = {hook: plugins.implementations(hook) for hook in HOOKS}

    async def notify(self, event: Event) -> None:
        """Call every implementation; none can fail or veto."""
        for implementation in self._implementations[hook_of(event)]:
            await self._call(implementation, event)

    async def ask(self, event: SessionCreating | SessionDestroying, *, refuse_broken: bool) -> None:
        """Ask every plugin whether the operation may go on.

        Args:
            event: what is about to happen.
            refuse_broken: whether a plugin that fails or takes too long counts as a veto.

        Raises:
            SessionVetoed: a plugin refuses; those after it are not asked.
            VetoHookFailedError: a plugin failed, and ``refuse_broken`` is set.
        """
        for implementation in self._implementations[hook_of(event)]:
            failure = await self._call(implementation, event, may_veto=True)
            if failure is not None and refuse_broken:
                raise VetoHookFailedError(implementation.plugin, failure)

    async def _call(
        self, implementation: HookImplementation, event: Event, *, may_veto: bool = False
    ) -> str | None:
        """Call one implementation; return how it failed, ``None`` if it did not."""
        hook, plugin = hook_of(event), implementation.plugin
        call = HookCall(lambda: implementation.call(event), self._timeout)
        try:
            await call.run()
        finally:
            failure = self._failure_of(call, may_veto=may_veto)
            if failure is not None:
                log.error("hook_failed", hook=hook, plugin=plugin, reason=failure)
            if call.longest_step >= min(LONGEST_STEP, self._timeout):
                seconds = round(call.longest_step, 3)
                log.warning("hook_blocked_event_loop", hook=hook, plugin=plugin, seconds=seconds)
        if may_veto and isinstance(call.error, SessionVetoed):
            raise SessionVetoed(call.error.reason, plugin) from call.error
        return failure

    def _failure_of(self, call: HookCall, *, may_veto: bool) -> str | None:
        late = f"took longer than {self._timeout} s" if call.is_overdue else ""
        if call.is_abandoned:
            lead = f"{late}, and" if late else ""
            return f"{lead} does not end when it is cancelled: it is abandoned".lstrip()
        if isinstance(call.error, SessionVetoed):
            veto = described(call.error)
            return None if may_veto else f"raised {veto}, though this hook may not veto"
        if late or call.error is None:
            return late or None
        return f"raised {described(call.error)}"


def hook_of(event: Event) -> str:
    """Return the name of the hook for an event, such as ``frith_session_created``."""
    return "frith_" + re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
