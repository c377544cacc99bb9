"""One call of a hook, in a task of its own.

In the caller's task a ``CancelledError`` that the plugin leaks could not be distinguished from a
cancellation of the caller, and code that shields itself could not be abandoned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextvars import copy_context
from typing import Any

from anyio import CancelScope, Event, create_task_group, get_cancelled_exc_class, move_on_after

from frith._failures import is_interrupt

GRACE = 1.0
"""Seconds in which code that is cancelled must end."""

_abandoned: set[HookCall] = set()
"""Abandoned calls that still run. asyncio itself keeps only weak references to its tasks."""


class HookCall:
    """One call of a plugin's coroutine function."""

    def __init__(self, function: Callable[[], Awaitable[object]], seconds: float) -> None:
        """Prepare a call of ``function`` that may take ``seconds``."""
        self._steps = _Steps(function)
        self._seconds = seconds
        self._scope = CancelScope()
        self._done = Event()
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
