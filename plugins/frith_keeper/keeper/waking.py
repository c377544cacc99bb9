"""Signals as something to read, so that they wake a loop that waits for descriptors."""

from __future__ import annotations

import signal

from .sockets import Socket, socketpair

_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
"""A terminal that goes away is none of ours."""
_WAKING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD)


def readable_signals() -> tuple[Socket, Socket]:
    """Return what yields the numbers of signals, a byte each, and what the kernel needs for it.

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
