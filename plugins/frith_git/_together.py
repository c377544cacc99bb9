"""Doing things at the same time, with plain exceptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

_T = TypeVar("_T")


async def together(*jobs: Callable[[], Awaitable[_T]]) -> list[_T]:
    """Run ``jobs`` concurrently and return their results in order.

    Raises:
        Exception: the first that one of them raised, not in a group; the others are cancelled.
    """
    results: dict[int, _T] = {}
    failures: list[Exception] = []

    async def run(index: int, job: Callable[[], Awaitable[_T]]) -> None:
        try:
            results[index] = await job()
        except Exception as error:
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for index, job in enumerate(jobs):
            tasks.start_soon(run, index, job)
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(jobs))]
