"""The event loop of a keeper: waits for descriptors, signals and points in time."""

from __future__ import annotations

import select
import signal
from time import monotonic

from .sockets import Socket, socketpair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
"""A keeper has no terminal of its own."""
_WAKING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD)


class Loop:
    """Calls the callback of a descriptor when that is ready."""

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


def readable_signals() -> tuple[Socket, Socket]:
    """Return a socket that yields the numbers of signals, a byte each, and its other end.

    Both must be kept. See ``signal.set_wakeup_fd``.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    reading, writing = socketpair()
    for end in (reading, writing):
        end.setblocking(False)
    for number in _WAKING:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    return reading, writing
