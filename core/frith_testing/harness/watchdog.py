"""A timeout for code that blocks the event loop, where no timeout of the loop itself can act."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STALLED = 10.0
"""Seconds after which a thread unblocks code that the event loop should have unblocked."""


@contextmanager
def unblocked_by(unblock: Callable[[], object]) -> Iterator[threading.Event]:
    """Call ``unblock`` from a thread, and set the event, if the body does not end in time."""
    given_up = threading.Event()

    def give_up() -> None:
        given_up.set()
        unblock()

    timer = threading.Timer(STALLED, give_up)
    timer.start()
    try:
        yield given_up
    finally:
        timer.cancel()
        timer.join()
