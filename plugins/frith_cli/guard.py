"""Runs the coroutine of a command, in which a signal cancels what can be cancelled."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

from frith_cli.context import Interrupted

_Result = TypeVar("_Result")
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Guard:
    """Waits for a signal that ends the command, and cancels its work."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.received: int | None = None
        self._scope = scope

    async def wait(self, *, task_status: TaskStatus[None]) -> None:
        """Wait for signals, until cancelled."""
        # Signals that the parent process ignores (nohup, a shell's `&`) stay ignored.
        wanted = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        with anyio.open_signal_receiver(*wanted) as signals:
            task_status.started()
            async for number in signals:
                self.received = self.received or number
                self._scope.cancel()

    @contextmanager
    def within(self) -> Iterator[None]:
        """Restrict what a signal cancels to the body of this context; the rest ends in order.

        Raises:
            Interrupted: a signal was received.
        """
        outer, self._scope = self._scope, anyio.CancelScope()
        try:
            with self._scope:
                yield
        finally:
            self._scope = outer
        if self.received is not None:
            raise Interrupted(self.received)


@asynccontextmanager
async def guarded() -> AsyncIterator[Guard]:
    """Let a signal cancel the body.

    Raises:
        Interrupted: a signal was received, and the body has cleaned up.
    """
    async with anyio.create_task_group() as tasks:
        guard = Guard(tasks.cancel_scope)
        await tasks.start(guard.wait)
        yield guard
        tasks.cancel_scope.cancel()
    if guard.received is not None:
        raise Interrupted(guard.received)


def drive(work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run ``work`` on a new event loop and return its result. Its exceptions propagate.

    A group of one exception is replaced by that exception.
    """
    try:
        return anyio.run(work, backend="asyncio")
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from error.__cause__
