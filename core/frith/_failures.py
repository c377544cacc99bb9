"""Classifying and describing the exceptions of plugins, which may be anything."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

from anyio import current_effective_deadline, get_cancelled_exc_class

from frith.errors import FrithError


def is_interrupt(error: BaseException) -> bool:
    """Tell whether the user interrupts the program, which is never a plugin's failure."""
    return any(isinstance(each, KeyboardInterrupt) for each in _leaves(error))


def is_from_outside(error: BaseException) -> bool:
    """Tell whether ``error`` ends the present task: an interrupt, or a cancellation.

    A plugin may raise a ``CancelledError`` of its own: it awaits a future that it has cancelled.
    """
    if isinstance(error, GeneratorExit) or is_interrupt(error):
        return True
    cancelled = get_cancelled_exc_class()
    return any(isinstance(each, cancelled) for each in _leaves(error)) and _is_cancelled()


def unwrapped(error: BaseException) -> BaseException:
    """Return the error of a group that matters: the first of frith's, else the only one."""
    leaves = list(_leaves(error))
    ours = (each for each in leaves if isinstance(each, FrithError))
    return next(ours, leaves[0] if len(leaves) == 1 else error)


def described(error: BaseException) -> str:
    """Return the ``repr`` of the error that matters; never raises."""
    try:
        return repr(unwrapped(error))
    except Exception:
        return type(error).__name__


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _is_cancelled() -> bool:
    """Tell whether the present task is cancelled: by a scope, or, on asyncio, by ``cancel()``."""
    if current_effective_deadline() == -math.inf:
        return True
    on_asyncio = issubclass(get_cancelled_exc_class(), asyncio.CancelledError)
    task = asyncio.current_task() if on_asyncio else None
    return task is not None and task.cancelling() > 0
