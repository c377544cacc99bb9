"""How tests wait for what tells nobody that it has come about.

Whatever has an event is waited for by that. The limit only ends a hang: no test fails because
the machine is slow, or because a process is not scheduled for some seconds.
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
"""Seconds after which something that should come about is taken never to do so."""
TO_RUN = 240.0
"""Seconds after which a command that a test runs is taken to hang; less than a test may take."""
_PAUSE = 0.005


async def until(condition: Callable[[], Awaitable[T] | T]) -> T:
    """Wait until what ``condition()`` returns, or what it awaits, is true; return that."""
    with anyio.fail_after(PATIENCE):
        while True:
            found = condition()
            if isawaitable(found):
                found = await found
            if found:
                return found
            await anyio.sleep(_PAUSE)


def wait_until(condition: Callable[[], T]) -> T:
    """Wait until what ``condition()`` returns is true; return that."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(_PAUSE)
    return found


def pass_time(chance: Random, longest: float) -> None:
    """Let a random time pass, of ``longest`` seconds at most, until something is killed, say."""
    time.sleep(chance.uniform(0, longest))


async def unchanged(look: Callable[[], object], seconds: float) -> None:
    """Wait until what ``look()`` returns stays the same for so long."""

    async def stays() -> bool:
        before = look()
        await anyio.sleep(seconds)
        return look() == before

    await until(stays)
