"""The background tasks of a manager.

They live in the manager's task group, and a cancellation of the host's does not reach them: what
is being written is written, and closing ends them in order.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar, TypeVarTuple

from anyio import CancelScope, Event, get_cancelled_exc_class
from anyio.abc import TaskGroup

from frith._failures import described, is_from_outside
from frith.errors import ManagerClosedError
from frith.logs import log

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")
_Item = TypeVar("_Item")


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


class Calls:
    """Makes calls, and ends those under way while they can still be undone."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._running: set[Task] = set()
        self._closed = False

    async def make(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Return what ``function()`` returns.

        Raises:
            ManagerClosedError: the manager is closed, or was closed meanwhile; the call was
                cancelled then, and has undone what it had begun.
            Exception: what ``function`` raises.
        """
        if self._closed:
            raise ManagerClosedError
        call = _Call[_T]()
        task = self._tasks.start(call.run, function)
        self._running.add(task)
        try:
            await call.done.wait()
        except BaseException:
            task.end_soon()
            await _surely(call.done)
            raise
        finally:
            self._running.discard(task)
        return call.outcome()

    async def end(self) -> None:
        """Cancel every call, wait until they have ended, and allow no more."""
        self._closed = True
        for task in tuple(self._running):
            await task.cancel()


class _Call(Generic[_T]):
    """One call."""

    def __init__(self) -> None:
        self.done = Event()
        self._results: list[_T] = []
        self._error: BaseException | None = None

    async def run(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> None:
        try:
            self._results.append(await function())
        except get_cancelled_exc_class():
            raise
        except BaseException as error:
            self._error = error
        finally:
            self.done.set()

    def outcome(self) -> _T:
        if self._error is not None:
            raise self._error
        if not self._results:
            raise ManagerClosedError
        return self._results[0]


async def _surely(event: Event) -> None:
    """Wait for ``event``, whatever cancels the present task."""
    while not event.is_set():
        with suppress(get_cancelled_exc_class()), CancelScope(shield=True):
            await event.wait()


@asynccontextmanager
async def closing(items: AsyncIterable[_Item]) -> AsyncIterator[AsyncIterator[_Item]]:
    """Iterate over ``items``; close them at the end if they are a generator.

    One that is left to the garbage collector runs its ``finally`` at any time, or never.
    """
    iterator = aiter(items)
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
