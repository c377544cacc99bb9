"""The background tasks of a manager.

They live in the manager's task group, and a cancellation of the host's does not reach them: what
is being written is written, and closing ends them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVarTuple

from anyio import CancelScope, Event
from anyio.abc import TaskGroup

from frith._failures import described, is_from_outside
from frith.logs import log

_Args = TypeVarTuple("_Args")


class Task:
    """One background task."""

    def __init__(self) -> None:
        self._scope = CancelScope(shield=True)
        self._done = Event()

    async def run(
        self, function: Callable[[*_Args], Coroutine[Any, Any, object]], *args: *_Args
    ) -> None:
        """Do the work of the task, in the task itself."""
        try:
            with self._scope:
                await function(*args)
        finally:
            self._done.set()

    def end_soon(self) -> None:
        """End the task at its next wait."""
        self._scope.cancel()

    async def cancel(self) -> None:
        """End the task, and wait until it has ended."""
        self.end_soon()
        with CancelScope(shield=True):
            await self._done.wait()


class Tasks:
    """Starts background tasks, and ends them all."""

    def __init__(self, task_group: TaskGroup) -> None:
        self._task_group = task_group
        self._running: set[Task] = set()
        self._closed = False

    def start(
        self, function: Callable[[*_Args], Coroutine[Any, Any, object]], *args: *_Args
    ) -> Task:
        """Start a task that runs ``function(*args)``.

        What that raises is logged and goes no further, for a plugin's fault may be behind it.
        After :meth:`cancel` it ends at its first wait.
        """
        task = Task()
        if self._closed:
            task.end_soon()
        self._running.add(task)
        self._task_group.start_soon(self._run, task, function, args)
        return task

    async def cancel(self) -> None:
        """End every task, those too that they start while ending, and wait for them."""
        self._closed = True
        while self._running:
            for task in tuple(self._running):
                await task.cancel()

    async def _run(self, task: Task, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            await task.run(function, *args)
        except BaseException as error:
            if is_from_outside(error):
                raise
            log.error("task_failed", task=function.__qualname__, reason=described(error))
        finally:
            self._running.discard(task)
