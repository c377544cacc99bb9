"""Waiting with no thread and as little as each backend needs: for descriptors, for each other.

On asyncio descriptors are watched by ``add_reader``: awaiting ``anyio.wait_readable`` anew for
every read makes an echo a third slower. On trio it is one task for each watched descriptor. A
bare future in place of an ``anyio.Event`` makes it a tenth faster once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from anyio import CancelScope, Event, lowlevel, wait_readable
from anyio.abc import TaskGroup


def _running_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    # A current task tells asyncio from trio that runs as a guest inside an asyncio loop.
    try:
        return asyncio.get_running_loop() if asyncio.current_task() else None
    except RuntimeError:
        return None


class Latch:
    """Something that happens once; takes no memory for waiting until somebody waits."""

    __slots__ = ("_event", "happened")

    def __init__(self) -> None:
        self.happened = False
        self._event: Event | None = None

    def set(self) -> None:
        """Let it have happened."""
        self.happened = True
        if self._event is not None:
            self._event.set()

    async def wait(self) -> None:
        """Wait until it has happened."""
        if self.happened:
            await lowlevel.checkpoint()
            return
        if self._event is None:
            self._event = Event()
        await self._event.wait()


class Bell:
    """Wakes all who wait for it, again and again; takes no memory until somebody waits."""

    __slots__ = ("_event", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._event: Event | None = None

    def ring(self) -> None:
        """Wake those who wait now."""
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
                # Who gave up is not kept, unless it has just been rung for.
                with suppress(ValueError):
                    self._waiting.remove(future)
                raise
            return
        if self._event is None:
            self._event = Event()
        await self._event.wait()


class Readiness:
    """Watches descriptors on the running event loop."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._loop = _running_asyncio_loop()
        self._scopes: dict[int, CancelScope] = {}

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever ``fd`` is readable. It must not raise."""
        if self._loop is not None:
            self._loop.add_reader(fd, callback)
            return
        # Whatever is cancelled around it, a terminal is watched until it has been closed.
        scope = self._scopes[fd] = CancelScope(shield=True)
        self._tasks.start_soon(self._follow, fd, callback, scope)

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
