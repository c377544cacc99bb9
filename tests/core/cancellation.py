"""Cancel an operation at each of its awaits, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from types import coroutine
from typing import Any

import pytest
from anyio import CancelScope

from frith._engine.tasks import Tasks

Case = Callable[[Callable[[Coroutine[Any, Any, object]], Awaitable[bool]]], Awaitable[None]]


class _Count:
    """Counts how often something suspends, and cancels ``scope`` at the ``number``-th time."""

    def __init__(self, scope: CancelScope, number: int) -> None:
        self._scope = scope
        self._left = number

    @coroutine
    def following(self, operation: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Await ``operation`` and return its result."""
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                waiting_for = operation.send(value) if error is None else operation.throw(error)
            except StopIteration as end:
                return end.value
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()
            value, error = None, None
            try:
                value = yield waiting_for
            except BaseException as raised:
                error = raised

    @contextmanager
    def in_calls(self) -> Iterator[None]:
        """Follow the calls of managers, too, which are made in tasks of their own."""
        call = Tasks.call

        async def followed(
            tasks: Tasks, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any
        ) -> Any:
            return await call(tasks, lambda: self.following(function(*args)))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Tasks, "call", followed)
            yield


async def at_every_await(case: Case) -> int:
    """Run ``case`` once for each await of the operation that it hands to ``interrupt``.

    ``await interrupt(operation)`` tells whether the operation was cancelled in it. Returns the
    number of awaits; the last run is the one without a cancellation.
    """
    number = 0
    cancelled = True
    while cancelled:
        number += 1
        cancelled = False

        async def interrupt(operation: Coroutine[Any, Any, object], number: int = number) -> bool:
            nonlocal cancelled
            with CancelScope() as scope:
                count = _Count(scope, number)
                with count.in_calls():
                    await count.following(operation)
            cancelled = scope.cancel_called
            return cancelled

        await case(interrupt)
    return number - 1
