"""The tasks of a manager: background tasks, and the calls under way.

They run in the manager's task group. A cancellation of the host does not reach them: what is
being written is written, and closing ends them in order.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from logging import Logger
from typing import Any, TypeVar, TypeVarTuple

from anyio import CancelScope, Event, get_cancelled_exc_class
from anyio.abc import TaskGroup

from frith._failures import described, is_from_outside
from frith.errors import ManagerClosedError
from frith.logs import log, logged_by

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")
_Item = TypeVar("_Item")


class Task:
    """One task."""

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

    @property
    def is_done(self) -> bool:
        """Whether the task has ended."""
        return self._done.is_set()

    def end_soon(self) -> None:
        """Cancel the task without waiting for its end."""
        self._scope.cancel()

    async def cancel(self) -> None:
        """Cancel the task, and wait until it has ended."""
        self.end_soon()
        with CancelScope(shield=True):
            await self._done.wait()

    async def wait(self) -> None:
        """Wait until the task has ended; if the caller is cancelled, cancel the task first.

        asyncio's own cancellation (``Task.cancel()``, ``asyncio.timeout``) ignores shields.
        """
        try:
            await self._done.wait()
        except BaseException:
            self.end_soon()
            while not self.is_done:
                with suppress(get_cancelled_exc_class()), CancelScope(shield=True):
                    await self._done.wait()
            raise


class Tasks:
    """Starts background tasks and calls of the manager, and ends them all."""

    def __init__(self, task_group: TaskGroup, logger: Logger | None = None) -> None:
        """Start tasks in ``task_group``; what they log goes to ``logger``, if there is one."""
        self._task_group = task_group
        self._logger = logger
        self._running: set[Task] = set()
        self._calls: set[Task] = set()
        self._closed = False
        self._refuses_calls = False

    def start(
        self, function: Callable[[*_Args], Coroutine[Any, Any, object]], *args: *_Args
    ) -> Task:
        """Start a task that runs ``function(*args)``.

        An exception of the function is logged and goes no further, because a plugin may be its
        cause. After :meth:`cancel` a new task ends at its first wait.
        """
        task = Task()
        if self._closed:
            task.end_soon()
        self._running.add(task)
        self._task_group.start_soon(self._run, task, function, args)
        return task

    async def call(
        self, function: Callable[[*_Args], Coroutine[Any, Any, _T]], *args: *_Args
    ) -> _T:
        """Return what ``function(*args)`` returns, called in a task of its own.

        In the task of the caller it could not be undone, because asyncio's own cancellation ignores
        shields and would interrupt a commit. A call whose caller is cancelled is cancelled by a
        scope, and the caller waits for its end.

        Raises:
            ManagerClosedError: the manager is closed, or was closed meanwhile; the call was
                cancelled then, and has undone its steps.
            Exception: what ``function`` raises.
        """
        if self._refuses_calls:
            raise ManagerClosedError
        results: list[_T] = []
        errors: list[BaseException] = []

        async def run() -> None:
            try:
                results.append(await function(*args))
            except get_cancelled_exc_class():
                raise
            except BaseException as error:
                errors.append(error)

        task = self.start(run)
        self._calls.add(task)
        try:
            await task.wait()
        finally:
            self._calls.discard(task)
        if errors:
            raise errors[0]
        if not results:
            raise ManagerClosedError
        return results[0]

    async def end_calls(self) -> None:
        """Cancel every call, wait until they have ended, and allow no more."""
        self._refuses_calls = True
        for task in tuple(self._calls):
            await task.cancel()

    async def cancel(self) -> None:
        """End every task, also those that they start while ending, and wait for them."""
        self._closed = True
        while self._running:
            for task in tuple(self._running):
                await task.cancel()

    async def close(self) -> None:
        """End every task, and leave the task group.

        It is left without the host's exception, which would reach the host wrapped in an exception
        group.
        """
        await self.cancel()
        await self._task_group.__aexit__(None, None, None)

    async def _run(self, task: Task, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        with logged_by(self._logger):
            try:
                await task.run(function, *args)
            except BaseException as error:
                if is_from_outside(error):
                    raise
                log.error("task_failed", task=function.__qualname__, reason=described(error))
            finally:
                self._running.discard(task)


@asynccontextmanager
async def closing(items: AsyncIterable[_Item]) -> AsyncIterator[AsyncIterator[_Item]]:
    """Iterate over what a port yields, and close it at the end if it is a generator.

    ``contextlib.aclosing`` does not serve, because not every iterator can be closed.
    """
    iterator = aiter(items)
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
