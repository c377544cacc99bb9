"""Starting a process in a thread of its own, without blocking the event loop."""

from __future__ import annotations

import sys
from _thread import start_new_thread
from collections.abc import Awaitable, Callable
from threading import gettrace
from typing import Generic, TypeVar

from anyio import CancelScope, Event, from_thread
from anyio.abc import TaskGroup
from anyio.lowlevel import current_token

from frith.errors import SpawnError
from frith.ports import SpawnRequest

S = TypeVar("S")
T = TypeVar("T")


class _Thread(Generic[S]):
    """One call in a thread of its own, which ends with it."""

    def __init__(self, call: Callable[[], S]) -> None:
        self._call = call
        self._token = current_token()
        self._done = Event()
        self._result: S
        self._error: BaseException | None = None
        # threading.Thread would keep the event loop waiting until the thread runs.
        start_new_thread(self._run, ())

    def _run(self) -> None:
        sys.settrace(gettrace())  # as threading.Thread does, for debuggers and coverage
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error
        from_thread.run_sync(self._done.set, token=self._token)

    async def result(self) -> S:
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result


class _Start(Generic[T]):
    def __init__(self) -> None:
        self.over = Event()
        self.terminal: T | None = None
        self.error: Exception | None = None


async def start_in_thread(
    tasks: TaskGroup,
    request: SpawnRequest,
    start: Callable[[], S],
    finish: Callable[[S], Awaitable[T]],
    discard: Callable[[T], Awaitable[object]],
) -> T:
    """Start a process; if the caller is cancelled meanwhile, nothing of it is left.

    Args:
        tasks: where this goes on, shielded, also if the caller is cancelled.
        request: names the command.
        start: starts the process; called in a thread.
        finish: returns the terminal of what ``start`` returned.
        discard: ends a terminal whose caller was cancelled.

    Raises:
        SpawnError: the system gives no thread.
    """
    try:
        thread = _Thread(start)
    except RuntimeError as error:
        reason = f"{error}; end some processes, or raise `ulimit -u`"
        raise SpawnError(request.command, reason) from error
    started = _Start[T]()
    tasks.start_soon(_complete, thread, finish, started)
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


async def _complete(
    thread: _Thread[S], finish: Callable[[S], Awaitable[T]], started: _Start[T]
) -> None:
    with CancelScope(shield=True):
        try:
            started.terminal = await finish(await thread.result())
        except Exception as error:
            started.error = error
        finally:
            started.over.set()
