"""Event loops whose callbacks inherit no context, as in a program that ``asyncio.run`` starts."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any


class PlainLoop(asyncio.SelectorEventLoop):
    """The loop of anyio's runner for tests, whose tasks and callbacks begin in an empty context.

    anyio asks a context variable which library runs it, and only then for the current task. Its
    runner sets that variable, and all that a test schedules inherits it, so callbacks of the
    loop can call anyio although no task runs them. In a program started by ``asyncio.run`` or
    uvicorn the same call raises, and whoever waits for the callback waits for ever.

    Contexts are copied from the task that schedules something, so it is the first task that
    needs an empty one: readers, timers, callbacks of futures and of other threads follow.

    On trio nothing is to be done: it tells by a variable of the thread that it runs, to the
    callbacks of ``TrioToken.run_sync_soon`` as well, and those inherit no task's context.
    """

    def create_task(self, coro: Any, **options: Any) -> Any:
        """Run ``coro``, in an empty context if nothing runs yet."""
        if not self.is_running():
            options["context"] = Context()
        return super().create_task(coro, **options)
