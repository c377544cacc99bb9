"""Calls back when a descriptor is readable, with no thread and as little as each backend needs.

On asyncio that is ``add_reader``: awaiting ``anyio.wait_readable`` anew for every read makes an
echo a third slower. On trio it is one task for each watched descriptor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anyio import CancelScope, wait_readable
from anyio.abc import TaskGroup


def _running_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    # A current task tells asyncio from trio that runs as a guest inside an asyncio loop.
    try:
        return asyncio.get_running_loop() if asyncio.current_task() else None
    except RuntimeError:
        return None


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
        """Stop watching ``fd``; no call-back follows. Not an error if it is not watched."""
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
