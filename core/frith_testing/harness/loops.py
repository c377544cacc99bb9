"""An event loop whose callbacks inherit no context, as in a program started by ``asyncio.run``."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any


class PlainLoop(asyncio.SelectorEventLoop):
    """The asyncio loop for anyio's test runner; its tasks and callbacks begin in an empty context.

    anyio reads the name of the async library from a context variable before it looks for a current
    task. Its test runner sets that variable, and everything that a test schedules inherits it, so
    a callback of the loop can call anyio although no task is running. In a program started by
    ``asyncio.run`` or uvicorn the same call raises, and code that waits for the callback hangs.

    A context is copied from the task that schedules a callback. So only the first task needs an
    empty context; readers, timers, and callbacks of futures and of other threads inherit it.

    trio needs nothing of the kind: it identifies itself by a thread-local variable, also in the
    callbacks of ``TrioToken.run_sync_soon``, which inherit no context of a task.
    """

    def create_task(self, coro: Any, **options: Any) -> Any:
        """Run ``coro``, in an empty context if the loop is not running yet."""
        if not self.is_running():
            options["context"] = Context()
        return super().create_task(coro, **options)
