"""The calls under way, each in a task of the manager's.

In the task of the caller a call could not be undone: asyncio's own cancellation (``Task.cancel()``,
``asyncio.timeout``) knows no shield, so it would interrupt a commit or an undoing. A call whose
caller is cancelled, in whatever way, is cancelled by a scope, and the caller waits for its end.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

from anyio import CancelScope, Event, get_cancelled_exc_class

from frith._tasks import Task, Tasks
from frith.errors import ManagerClosedError

_T = TypeVar("_T")


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
