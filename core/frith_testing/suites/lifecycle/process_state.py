"""The state of process, event loop and logging that a hook must not change."""

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
"""Seconds between two measurements of the event loop."""

_STUBBORN = 1000
"""How often cancelled code may wait before it is abandoned."""


class Cancelled:
    """Awaits code in a cancelled scope, and abandons code that does not end."""

    def __init__(self, code: Awaitable[object]) -> None:
        self._code = code
        self.waits = 0
        """How often the code has waited, which is where a cancellation reaches it."""

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
    """Measures how long the event loop is blocked."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._longest = 0.0

    def longest_pause(self) -> float:
        """Return the longest time so far, in seconds, in which no other task could run."""
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
    """Measure the event loop while the context is open."""
    loop = EventLoop()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop._watch)
        yield loop
        tasks.cancel_scope.cancel()


def tasks_now() -> set[int]:
    """Return the ids of all running tasks."""
    return {task.id for task in anyio.get_running_tasks()}


def logging_now() -> object:
    """Return the configuration of structlog and of each logger that is not as a new one is."""
    root = logging.getLogger()
    named = {
        name: _settings(logger)
        for name, logger in root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    changed = {
        name: each for name, each in named.items() if each != _settings(logging.Logger(name))
    }
    configured = structlog.is_configured()
    return configured, root.manager.disable, _settings(root), tuple(root.handlers), changed


def _settings(logger: logging.Logger) -> object:
    # A library may add a NullHandler to a logger of its own.
    handlers = [each for each in logger.handlers if type(each) is not logging.NullHandler]
    return logger.level, logger.propagate, logger.disabled, handlers, tuple(logger.filters)


def process_now() -> object:
    """Return the shared state of this process: directory, environment, signals, settings."""
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
