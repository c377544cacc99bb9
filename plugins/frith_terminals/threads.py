"""Starting a process in a thread of its own, without blocking the event loop."""

from __future__ import annotations

import sys
from _thread import start_new_thread
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from threading import gettrace
from typing import Generic, TypeVar

from anyio import CancelScope, Event, from_thread
from anyio.abc import TaskGroup
from anyio.lowlevel import current_token

from frith.errors import SpawnError
from frith.ports import SpawnRequest

S = TypeVar("S")
T = TypeVar("T")


class _Start(Generic[S, T]):
    def __init__(self, start: Callable[[], S], finish: Callable[[S], Awaitable[T]]) -> None:
        self.over = Event()
        self.terminal: T | None = None
        self.error: BaseException | None = None
        self._start, self._finish = start, finish
        self._started: S
        self._token = current_token()
        self._returned = Event()
        # threading.Thread would keep the event loop waiting until the thread runs.
        start_new_thread(copy_context().run, (self._run,))

    def _run(self) -> None:
        sys.settrace(gettrace())  # as threading.Thread does, for debuggers and coverage
        try:
            self._started = self._start()
        except BaseException as error:
            self.error = error
        from_thread.run_sync(self._returned.set, token=self._token)

    async def complete(self) -> None:
        with CancelScope(shield=True):
            try:
                await self._returned.wait()
                if self.error is None:
                    self.terminal = await self._finish(self._started)
            except Exception as error:
                self.error = error
            finally:
                self.over.set()


async def start_in_thread(
    tasks: TaskGroup,
    request: SpawnRequest,
    start: Callable[[], S],
    finish: Callable[[S], Awaitable[T]],
    discard: Callable[[T], Awaitable[object]],
) -> T:
    """Start a process; if the caller is cancelled meanwhile, nothing of it is left.

    Args:
        tasks: where the start continues, shielded, if the caller is cancelled.
        request: names the command.
        start: starts the process; called in a thread that ends with it.
        finish: returns the terminal, given the result of ``start``.
        discard: ends a terminal whose caller was cancelled.

    Raises:
        SpawnError: the system gives no thread.
    """
    try:
        started = _Start(start, finish)
    except RuntimeError as error:
        reason = f"{error}; end some processes, or raise `ulimit -u`"
        raise SpawnError(request.command, reason) from error
    tasks.start_soon(started.complete)
    try:
        await started.over.wait()
    except BaseException:
        with CancelScope(shield=True):
            await started.over.wait()
            if started.terminal is not None:
                await discard(started.terminal)
        raise
    if started.terminal is None:
        raise started.error or RuntimeError("The event loop is closing.")
    return started.terminal
