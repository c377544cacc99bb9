"""The threads that everything in an event loop shares unless it names others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import create_task_group, sleep, to_thread

_TICK = 0.01


@asynccontextmanager
async def default_threads_taken() -> AsyncIterator[None]:
    """Let other code occupy every thread of anyio's default limiter.

    Raises:
        AssertionError: the block waited for one. It is given one then, because it may be shielded
            from a cancellation.
    """
    limiter = to_thread.current_default_thread_limiter()
    borrowers = [object() for _ in range(int(limiter.available_tokens))]
    waited = False

    def give_back() -> None:
        while borrowers:
            limiter.release_on_behalf_of(borrowers.pop())

    async def watch() -> None:
        nonlocal waited
        while not limiter.statistics().tasks_waiting:  # noqa: ASYNC110 - it announces nothing
            await sleep(_TICK)
        waited = True
        give_back()

    for borrower in borrowers:
        limiter.acquire_on_behalf_of_nowait(borrower)
    try:
        async with create_task_group() as tasks:
            tasks.start_soon(watch)
            yield
            tasks.cancel_scope.cancel()
    finally:
        give_back()
    assert not waited, (
        "waited for a thread of anyio's default limiter, which a hung mount of another workspace "
        "may occupy: to_thread.run_sync(…, limiter=context.limiter)"
    )
