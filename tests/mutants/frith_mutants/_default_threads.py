"""Providers that block in the threads that every manager of the process shares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from operator import attrgetter
from typing import Any

from anyio import to_thread

from frith.providers import ProviderContext


def drops_the_limiter(holder: str = "") -> Callable[[Any, ProviderContext], Any]:
    """Take the limiter from the provider, or from its attribute ``holder``."""

    def wrap(inner: Any, _: ProviderContext) -> Any:
        if holder:
            attrgetter(holder)(inner).limiter = None
        else:
            inner._limiter = None
        return inner

    return wrap


def reads_in_any_thread(inner: Any, _: ProviderContext) -> Any:
    """Have a store read in one of those threads."""
    load = inner.load

    async def read() -> Any:
        await to_thread.run_sync(lambda: None)
        return await load()

    inner.load = read
    return inner


def watches_in_any_thread(inner: Any, _: ProviderContext) -> Any:
    """Have a status provider watch in one of those threads."""
    original: Callable[..., AbstractAsyncContextManager[Any]] = inner.watch

    @asynccontextmanager
    async def watch(*arguments: Any) -> Any:
        await to_thread.run_sync(lambda: None)
        async with original(*arguments) as watched:
            yield watched

    inner.watch = watch
    return inner
