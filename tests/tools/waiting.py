"""Waiting in tests for conditions that have no event, by polling.

What has an event is waited for by that event. The time limit only ends a hang: no test fails
because the machine is slow, or because a process is not scheduled for some seconds.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from random import Random
from typing import TypeVar

import anyio

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds after which a condition is taken never to become true."""
TO_RUN = 240.0
"""Seconds after which a command that a test runs is taken to hang; less than a test may take."""
_PAUSE = 0.005


async def until(condition: Callable[[], Awaitable[T] | T]) -> T:
    """Wait until ``condition()``, awaited if need be, returns something true; return that."""
    with anyio.fail_after(PATIENCE):
        while True:
            found = condition()
            if isawaitable(found):
                found = await found
            if found:
                return found
            await anyio.sleep(_PAUSE)


def wait_until(condition: Callable[[], T]) -> T:
    """Wait until ``condition()`` returns something true; return that."""
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
    """Wait until ``look()`` returns the same again after ``seconds``."""

    async def stays() -> bool:
        before = look()
        await anyio.sleep(seconds)
        return look() == before

    await until(stays)
