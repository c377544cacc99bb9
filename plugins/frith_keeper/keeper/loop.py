"""Waiting for descriptors and for moments; nothing else wakes a keeper."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from time import monotonic

READ, WRITE = select.EPOLLIN, select.EPOLLOUT


class Loop:
    """Calls what belongs to a descriptor when that is ready."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._events: dict[int, int] = {}

    def watch(self, fd: int, events: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever ``fd`` is ready for ``events``; 0 for none of them."""
        if self._events.get(fd, 0) != events:
            if not events:
                self.forget(fd)
                return
            if fd in self._events:
                self._epoll.modify(fd, events)
            else:
                self._epoll.register(fd, events)
            self._events[fd] = events
        self._callbacks[fd] = callback

    def forget(self, fd: int) -> None:
        """Watch ``fd`` no more; to be called before it is closed."""
        if self._events.pop(fd, 0):
            self._epoll.unregister(fd)
        self._callbacks.pop(fd, None)

    def turn(self, moments: Iterable[float | None]) -> None:
        """Wait until something is ready, or the first of ``moments`` by ``time.monotonic()``."""
        due = [moment for moment in moments if moment is not None]
        timeout = max(0.0, min(due) - monotonic()) if due else -1
        for fd, _ in self._epoll.poll(timeout):
            callback = self._callbacks.get(fd)
            if callback is not None:  # forgotten by an earlier one of this turn
                callback()
