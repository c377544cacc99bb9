"""Waiting in tests for conditions that have no event, by polling.

A test waits for the event itself where there is one. The time limit only ends a test that hangs:
no test fails because the machine is slow.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from random import Random
from typing import Any, TypeVar, overload

import anyio

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds after which a wait for a condition fails."""
TO_RUN = 240.0
"""Seconds that a command of a test may take, less than the test itself may."""
_PAUSE = 0.005


@overload
async def until(condition: Callable[[], Awaitable[T]]) -> T: ...
@overload
async def until(condition: Callable[[], T]) -> T: ...
async def until(condition: Callable[[], Any]) -> Any:
    """Wait until ``condition()``, awaited if it is awaitable, is true; return its value."""
    with anyio.fail_after(PATIENCE):
        while True:
            found = condition()
            if isawaitable(found):
                found = await found
            if found:
                return found
            await anyio.sleep(_PAUSE)


def wait_until(condition: Callable[[], T]) -> T:
    """Wait until ``condition()`` is true; return its value."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(_PAUSE)
    return found


def pass_time(chance: Random, longest: float) -> None:
    """Sleep for a random time of at most ``longest`` seconds, for example before a kill."""
    time.sleep(chance.uniform(0, longest))


async def unchanged(look: Callable[[], object], seconds: float) -> None:
    """Wait until ``look()`` returns the same value before and after ``seconds``."""

    async def stays() -> bool:
        before = look()
        await anyio.sleep(seconds)
        return look() == before

    await until(stays)
