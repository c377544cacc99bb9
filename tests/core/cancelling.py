"""Cancel an operation at each of its awaits, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import Any

from anyio import CancelScope

Case = Callable[[Callable[[Coroutine[Any, Any, object]], Awaitable[bool]]], Awaitable[None]]


@coroutine
def _cancelling(
    operation: Coroutine[Any, Any, object], scope: CancelScope, number: int
) -> Generator[Any, Any, None]:
    """Await ``operation``; cancel ``scope`` when it suspends for the ``number``-th time."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            waiting_for = operation.send(value) if error is None else operation.throw(error)
        except StopIteration:
            return
        number -= 1
        if number == 0:
            scope.cancel()
        value, error = None, None
        try:
            value = yield waiting_for
        except BaseException as raised:
            error = raised


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
                await _cancelling(operation, scope, number)
            cancelled = scope.cancel_called
            return cancelled

        await case(interrupt)
    return number - 1
