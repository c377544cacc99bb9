"""A way out for what holds up the event loop, where no timeout of the loop's own can act."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STALLED = 10.0
"""Seconds after which a thread lets go on what the event loop should have let go on at once."""


@contextmanager
def otherwise(let_go_on: Callable[[], object]) -> Iterator[threading.Event]:
    """Call ``let_go_on`` from a thread if the body is not done in time; the event tells of it."""
    given_up = threading.Event()

    def give_up() -> None:
        given_up.set()
        let_go_on()

    timer = threading.Timer(STALLED, give_up)
    timer.start()
    try:
        yield given_up
    finally:
        timer.cancel()
        timer.join()
