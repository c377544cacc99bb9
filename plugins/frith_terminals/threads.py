"""Starting a process while the event loop goes on, and seeing it through whoever is cancelled."""

from __future__ import annotations

import sys
from _thread import start_new_thread
from collections.abc import Awaitable, Callable
from threading import gettrace
from typing import Generic, TypeVar

from anyio import CancelScope, Event, from_thread
from anyio.abc import TaskGroup
from anyio.lowlevel import current_token

T = TypeVar("T")


class Thread(Generic[T]):
    """One call in a thread of its own, which ends with it."""

    def __init__(self, function: Callable[[], T]) -> None:
        """Begin to call ``function``.

        Raises:
            RuntimeError: the system gives no thread.
        """
        self._function = function
        self._token = current_token()
        self._done = Event()
        self._result: T
        self._error: BaseException | None = None
        # threading.Thread would keep the event loop waiting until the thread runs.
        start_new_thread(self._run, ())

    def _run(self) -> None:
        sys.settrace(gettrace())  # as threading.Thread does: debuggers and coverage see it, too
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error
        from_thread.run_sync(self._done.set, token=self._token)

    async def result(self) -> T:
        """Wait for the call; return what it returns, raise what it raises."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result


class _Birth(Generic[T]):
    def __init__(self) -> None:
        self.over = Event()
        self.born: T | None = None
        self.failure: Exception | None = None


async def born(
    tasks: TaskGroup,
    start: Callable[[], Awaitable[T]],
    discard: Callable[[T], Awaitable[object]],
) -> T:
    """Return what ``start`` returns; if the caller is cancelled meanwhile, nothing of it is left.

    Args:
        tasks: where ``start`` runs, to its end.
        start: shielded from cancellation.
        discard: called with what was started for a caller that is cancelled.
    """
    birth = _Birth[T]()
    tasks.start_soon(_bear, start, birth)
    try:
        await birth.over.wait()
    except BaseException:
        with CancelScope(shield=True):
            await birth.over.wait()
            if birth.born is not None:
                await discard(birth.born)
        raise
    if birth.born is None:
        raise birth.failure or RuntimeError("The event loop is closing.")
    return birth.born


async def _bear(start: Callable[[], Awaitable[T]], birth: _Birth[T]) -> None:
    with CancelScope(shield=True):
        try:
            birth.born = await start()
        except Exception as error:
            birth.failure = error
        finally:
            birth.over.set()
