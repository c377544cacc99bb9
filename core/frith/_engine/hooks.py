"""Calls of lifecycle hooks: awaited one by one, isolated and within a bounded time.

Plugins are called in the order of their names, the host's own last. A failure is logged with the
name of its plugin and goes no further; only a veto does.

Each call has a task of its own. In the caller's task a ``CancelledError`` that the plugin leaks
could not be distinguished from a cancellation of the caller, and code that shields itself could not
be abandoned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextvars import copy_context
from typing import Any

import anyio
from anyio import CancelScope, create_task_group, get_cancelled_exc_class, move_on_after

from frith._failures import described, is_interrupt
from frith.errors import SessionVetoed, VetoHookFailedError
from frith.events import Event, SessionCreating, SessionDestroying
from frith.logs import log
from frith.plugins import HOOKS, HookImplementation, Plugins

LONGEST_STEP = 1.0
"""Seconds for which a hook may block the event loop before that is logged."""

GRACE = 1.0
"""Seconds in which code that is cancelled must end."""

_abandoned: set[HookCall] = set()
"""Abandoned calls that still run. asyncio itself keeps only weak references to its tasks."""


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
    return f"frith_{event.event}"


class HookCall:
    """One call of a plugin's coroutine function."""

    def __init__(self, function: Callable[[], Awaitable[object]], seconds: float) -> None:
        """Prepare a call of ``function`` that may take ``seconds``."""
        self._steps = _Steps(function)
        self._seconds = seconds
        self._scope = CancelScope()
        self._done = anyio.Event()
        self._task: object = None
        self.error: BaseException | None = None
        """What it raised, which may be a ``CancelledError`` or a ``SystemExit``."""
        self.is_overdue = False
        """Whether it was cancelled because it took too long."""
        self.is_abandoned = False
        """Whether it went on when it was cancelled, so that nothing waits for it any more."""

    @property
    def longest_step(self) -> float:
        """The longest time, in seconds, for which it has blocked the event loop."""
        return self._steps.longest

    async def run(self) -> None:
        """Make the call and wait until it has ended or its time is up.

        It is cancelled when its time is up or the caller is cancelled. If it does not end within
        :data:`GRACE` seconds then, it is abandoned.

        Raises:
            KeyboardInterrupt: the user interrupts the program.
        """
        self._start()
        try:
            with move_on_after(self._seconds):
                await self._done.wait()
            self.is_overdue = not self._done.is_set()
        finally:
            if not self._done.is_set():
                await self._end()
        if self.error is not None and is_interrupt(self.error):
            raise self.error

    def _start(self) -> None:
        """Start a task that no task group waits for."""
        if issubclass(get_cancelled_exc_class(), asyncio.CancelledError):
            self._task = asyncio.get_running_loop().create_task(self._run())
        else:
            from trio.lowlevel import spawn_system_task

            spawn_system_task(self._run_on_trio, context=copy_context())

    async def _run_on_trio(self) -> None:
        # An error of a system task is fatal to trio, and trio raises one itself for a task that
        # leaves a task group open. Trio also holds Ctrl-C back from system tasks.
        try:
            async with create_task_group() as tasks:
                tasks.start_soon(self._run)
        except BaseException as error:
            if is_interrupt(error):
                raise
            self.error = self.error or error

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._steps
        except BaseException as error:
            self.error = error
            if self.is_abandoned and is_interrupt(error):
                raise
        finally:
            _abandoned.discard(self)
            self._done.set()

    async def _end(self) -> None:
        self._scope.cancel()
        try:
            with move_on_after(GRACE, shield=True):
                await self._done.wait()
        finally:
            if not self._done.is_set():
                self.is_abandoned = True
                _abandoned.add(self)


class _Steps:
    """A coroutine step by step: measures for how long each step holds the event loop."""

    def __init__(self, function: Callable[[], Awaitable[object]]) -> None:
        self._function = function
        self.longest = 0.0

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self._function().__await__()
        step, value = steps.send, None
        while True:
            began = time.monotonic()
            try:
                waits_for = step(value)
            except StopIteration:
                return
            finally:
                self.longest = max(self.longest, time.monotonic() - began)
            try:
                step, value = steps.send, (yield waits_for)
            except BaseException as error:
                step, value = steps.throw, error
