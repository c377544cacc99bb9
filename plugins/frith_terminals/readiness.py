"""Waiting for descriptors and events without threads, at the lowest cost of each backend.

On asyncio descriptors are watched by ``add_reader``: awaiting ``anyio.wait_readable`` anew for
every read makes an echo a third slower. On trio it is one task for each watched descriptor. A
bare future in place of an ``anyio.Event`` makes it a tenth faster once more.

A callback of an asyncio loop runs outside of any task. Under ``asyncio.run`` or uvicorn anyio
raises there ("not currently running on any asynchronous event loop"), and from 4.14 on its task
groups refuse to start tasks under any runner. So a callback only reads and sets events; it hands
everything else over to a task, see :meth:`Readiness.hand_over`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from anyio import CancelScope, Event, lowlevel, sleep, wait_readable
from anyio.abc import TaskGroup


def _running_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    # Trio may run as a guest inside an asyncio loop: then there is no current task.
    try:
        return asyncio.get_running_loop() if asyncio.current_task() else None
    except RuntimeError:
        return None


class Latch:
    """An event that happens once; takes memory for waiting only when a task waits."""

    __slots__ = ("_bell", "happened")

    def __init__(self) -> None:
        self.happened = False
        self._bell: Bell | None = None

    def set(self) -> None:
        """Let it happen; also from a callback of the event loop."""
        self.happened = True
        if self._bell is not None:
            self._bell.ring()

    async def wait(self) -> None:
        """Wait until it has happened."""
        if self.happened:
            await lowlevel.checkpoint()
            return
        if self._bell is None:
            self._bell = Bell()
        while not self.happened:
            await self._bell.wait()


class Bell:
    """Wakes all waiting tasks, any number of times; takes memory only when a task waits."""

    __slots__ = ("_event", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._event: Event | None = None

    def ring(self) -> None:
        """Wake the tasks that wait now; also from a callback of the event loop."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait for the next ring."""
        if (loop := _running_asyncio_loop()) is not None:
            self._waiting.append(future := loop.create_future())
            try:
                await future
            except BaseException:
                # It is gone from the list if it has just been rung for.
                with suppress(ValueError):
                    self._waiting.remove(future)
                raise
            return
        if self._event is None:
            self._event = Event()
        await self._event.wait()


class Readiness:
    """Watches descriptors on the running event loop, until closed."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._loop = _running_asyncio_loop()
        self._scopes: dict[int, CancelScope] = {}
        self._handed_over: deque[Callable[[], object]] = deque()
        self._bell = Bell()
        # Shielded: events of a terminal are handled until it is closed.
        self._serving = CancelScope(shield=True)
        tasks.start_soon(self._serve)

    def close(self) -> None:
        """End; calls that are handed over are dropped."""
        self._serving.cancel()

    def hand_over(self, call: Callable[[], object]) -> None:
        """Have ``call`` called in a task, soon and in order. It must not raise."""
        self._handed_over.append(call)
        self._bell.ring()

    async def _serve(self) -> None:
        with self._serving:
            while True:
                while self._handed_over:
                    self._handed_over.popleft()()
                await self._bell.wait()

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever ``fd`` is readable.

        It must not raise, and call nothing of anyio; see :meth:`hand_over`.
        """
        if self._loop is not None:
            self._loop.add_reader(fd, callback)
            return
        # Shielded: a terminal is watched until it has been closed.
        scope = self._scopes[fd] = CancelScope(shield=True)
        self._tasks.start_soon(self._follow, fd, callback, scope)

    def later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` after ``delay`` seconds; the same holds for it as for :meth:`watch`."""
        if self._loop is not None:
            self._loop.call_later(delay, callback)
        else:
            self._tasks.start_soon(self._call_later, delay, callback)

    async def _call_later(self, delay: float, callback: Callable[[], None]) -> None:
        await sleep(delay)
        callback()

    def unwatch(self, fd: int) -> None:
        """Stop watching ``fd``; no callback follows. Not an error if it is not watched."""
        if self._loop is not None:
            self._loop.remove_reader(fd)
        elif scope := self._scopes.pop(fd, None):
            scope.cancel()

    async def _follow(self, fd: int, callback: Callable[[], None], scope: CancelScope) -> None:
        with scope:
            while not scope.cancel_called:
                await wait_readable(fd)
                if not scope.cancel_called:
                    callback()
