"""Watching code under test: what it does when cancelled, to the event loop, and to the process."""

from __future__ import annotations

import gc
import locale
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog

TICK = 0.01
"""Seconds between two signs of life of the event loop."""

_STUBBORN = 1000
"""How often code may wait after it was cancelled until it is taken never to end."""


class Cancelled:
    """Code awaited in a scope that is cancelled; it ends even if the code would not."""

    def __init__(self, code: Awaitable[object]) -> None:
        self._code = code
        self.waits = 0
        """How often it has waited for something, which is where a cancellation reaches it."""

    def __await__(self) -> Generator[Any, Any, object]:
        steps = self._code.__await__()
        step, value = steps.send, None
        while True:
            try:
                waits_for = step(value)
            except StopIteration as end:
                return end.value
            self.waits += 1
            if self.waits == _STUBBORN:
                return None
            try:
                step, value = steps.send, (yield waits_for)
            except BaseException as error:
                step, value = steps.throw, error


class EventLoop:
    """How long the event loop stood still."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._longest = 0.0

    def longest_pause(self) -> float:
        """Return the longest time so far, in seconds, in which no other task had its turn."""
        self._beat()
        return self._longest

    async def _watch(self) -> None:
        while True:
            self._beat()
            await anyio.sleep(TICK)

    def _beat(self) -> None:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last)
        self._last = now


@asynccontextmanager
async def watched_loop() -> AsyncIterator[EventLoop]:
    """Watch the event loop meanwhile."""
    loop = EventLoop()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop._watch)
        yield loop
        tasks.cancel_scope.cancel()


def tasks_now() -> set[int]:
    """Return the ids of the tasks that run."""
    return {task.id for task in anyio.get_running_tasks()}


def logging_now() -> object:
    """Return how logging is configured."""
    root = logging.getLogger()
    return structlog.is_configured(), root.level, root.manager.disable, tuple(root.handlers)


def process_now() -> object:
    """Return what all code of this process shares: directory, environment, signals, settings."""
    mask = os.umask(0o077)
    os.umask(mask)
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    settings = (
        list(sys.path),
        socket.getdefaulttimeout(),
        locale.setlocale(locale.LC_ALL),
        gc.isenabled(),
        sys.getrecursionlimit(),
        (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, threading.excepthook),
    )
    return os.getcwd(), dict(os.environ), handlers, mask, settings
