"""Blocking work of a provider, in the threads of its manager."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")

current_limiter: ContextVar[CapacityLimiter | None] = ContextVar("limiter", default=None)
"""Limits the threads of the manager that the current call works for. Each method of a provider
sets it, so that no function below it has to pass it on."""


async def in_thread(
    function: Callable[[*_Args], _T], *args: *_Args, abandon_on_cancel: bool = False
) -> _T:
    """Call ``function`` in a thread; see ``anyio.to_thread.run_sync``."""
    return await to_thread.run_sync(
        function, *args, abandon_on_cancel=abandon_on_cancel, limiter=current_limiter.get()
    )
