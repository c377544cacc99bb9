"""Blocking work for async callers, in a daemon thread.

A thread that waits for a lock or a disk cannot be interrupted, so the caller has the
deadline. A job is either begun by the thread or given up by the caller, whichever happens first.
A job that has begun is waited for, shielded, because half of it may be on the disk.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, TypeVar, cast

import anyio

from frith.errors import StoreBusyError, StoreError

T = TypeVar("T")


class Worker:
    """A daemon thread that does what it is given, in order."""

    def __init__(self, name: str, begin_within: float, end_within: float) -> None:
        """Start the thread; each job must begin, and then end, within so many seconds."""
        self._limits = begin_within, end_within
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self.thread.start()

    def submit(self, task: Callable[[], None]) -> None:
        """Have ``task`` called in the thread and the caller's context; it must not raise."""
        self._queue.put(partial(copy_context().run, task))

    async def run(
        self,
        work: Callable[[], T],
        *,
        within: Callable[[], AbstractContextManager[None]] = nullcontext,
        busy: Callable[[float], Awaitable[StoreBusyError]] | None = None,
        late: type[StoreError] = StoreError,
        undo: Callable[[T], None] = lambda _: None,
    ) -> T:
        """Do ``work`` in the thread and return its result.

        If the caller is cancelled before the work has begun, it is not done. If later, it is waited
        for, and then the cancellation goes on.

        Args:
            work: what to do.
            within: a context for the work, such as that of a lock; the work begins inside.
            busy: returns the error, given the seconds, if the context does not open in time.
            late: what is raised if the work does not end in time.
            undo: called with the result if the caller does not take it; quick, never blocks.

        Raises:
            StoreBusyError: the work did not begin in time and will not be done.
            StoreError: it did not end in time.
        """
        job = Job(work, within, undo)
        self.submit(job.do)
        return await job.outcome(*self._limits, late, busy or _disk_is_busy)

    async def close(self, within: float) -> None:
        """Have the thread end after what it was given; wait for that at most ``within`` seconds."""
        self._queue.put(None)
        with anyio.CancelScope(shield=True):
            alone = anyio.CapacityLimiter(1)  # other blocked threads of the host do not matter
            await anyio.to_thread.run_sync(self.thread.join, within, limiter=alone)

    def _loop(self) -> None:
        while (task := self._queue.get()) is not None:
            task()


class Job(Generic[T]):
    """Work that one async caller waits for: made in its event loop, done in a thread."""

    def __init__(
        self,
        work: Callable[[], T],
        within: Callable[[], AbstractContextManager[None]] = nullcontext,
        undo: Callable[[T], None] = lambda _: None,
    ) -> None:
        self._work, self._within, self._undo = work, within, undo
        self._begun = threading.Lock()
        """Acquired by the thread when it begins the work, or by the caller that gives it up."""
        self._delivered = threading.Lock()
        """Acquired by the thread when it has a result, or by the caller that does not want it."""
        self._result: T | None = None
        self._error: BaseException | None = None
        self._call_soon = thread_safe_call()
        self._ended = anyio.Event()

    def do(self) -> None:
        """Do the work unless it was given up; in the thread."""
        try:
            with self._within():
                if not _is_first(self._begun):
                    return
                self._result = self._work()
        except BaseException as error:
            self._error = error
        if not _is_first(self._delivered):
            self._undo_result()
        with suppress(RuntimeError):  # the loop is closed (trio: RunFinishedError)
            self._call_soon(self._ended.set)

    async def outcome(
        self,
        begin_within: float,
        end_within: float,
        late: type[StoreError],
        busy: Callable[[float], Awaitable[StoreBusyError]],
    ) -> T:
        """Wait for the result: see :meth:`Worker.run`."""
        try:
            with anyio.move_on_after(begin_within):
                await self._ended.wait()
        except anyio.get_cancelled_exc_class():
            if not _is_first(self._begun):
                await self._end(end_within)
                if not _is_first(self._delivered):
                    self._undo_result()
            raise
        if not self._ended.is_set():
            if _is_first(self._begun):
                raise await busy(begin_within)
            await self._end(end_within)
        if not self._ended.is_set() and _is_first(self._delivered):
            raise late(
                f"The disk did not answer within {end_within:g} seconds. Load again when it does."
            )
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    async def _end(self, within: float) -> None:
        with anyio.move_on_after(within, shield=True):
            await self._ended.wait()

    def _undo_result(self) -> None:
        if self._error is None:
            self._undo(cast("T", self._result))


def _is_first(decision: threading.Lock) -> bool:
    return decision.acquire(blocking=False)


async def _disk_is_busy(seconds: float) -> StoreBusyError:
    return StoreBusyError(
        f"The disk kept the store busy for {seconds:g} seconds; nothing was changed. Try again."
    )


def thread_safe_call() -> Callable[..., object]:
    """Return what has something called in the running event loop, from any thread."""
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return cast("Callable[..., object]", trio.lowlevel.current_trio_token().run_sync_soon)
    return asyncio.get_running_loop().call_soon_threadsafe
