"""Blocking work for async callers: one daemon thread, jobs, and who decides when one gives up.

A thread that waits for a lock cannot be interrupted, so the deadline is the caller's: whoever
comes first, the thread that begins a job or the caller that gives it up, decides for both. A job
that has begun is waited for, shielded, since half of it may be on the disk.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

import anyio

from spinney.errors import StoreBusyError, StoreError

T = TypeVar("T")


class Job(Generic[T]):
    """Something that one async caller waits for. Made in the event loop, done in a thread."""

    def __init__(self) -> None:
        self.call_soon = _thread_safe_call()
        self._fate = threading.Lock()
        self._done = anyio.Event()
        self._result: T | None = None
        self._error: BaseException | None = None

    def begin(self) -> bool:
        """Decide that it is done; false if its caller has given it up."""
        return self._fate.acquire(blocking=False)

    def give_up(self) -> bool:
        """Decide that it is not done; false if it has begun."""
        return self._fate.acquire(blocking=False)

    def settle(self, result: T) -> None:
        """Keep the result; :func:`announce` hands it over."""
        self._result = result

    def fail(self, error: BaseException) -> None:
        """Keep the error; :func:`announce` hands it over."""
        self._error = error

    async def outcome(
        self,
        begin_within: float,
        end_within: float,
        *,
        late: type[StoreError] = StoreError,
        undo: Callable[[T], None] | None = None,
    ) -> T:
        """Wait for the result.

        Cancelled before it has begun, the job is not done. Cancelled later, it is waited for and
        then the cancellation goes on, after ``undo`` was called with the result.

        Args:
            begin_within: seconds in which it must have begun.
            end_within: seconds in which it must end once it has begun.
            late: what is raised if it did not.
            undo: quick, never blocks.

        Raises:
            StoreBusyError: it did not begin in time and will not be done.
            StoreError: it did not end in time.
        """
        try:
            with anyio.move_on_after(begin_within):
                await self._done.wait()
        except anyio.get_cancelled_exc_class():
            if not self.give_up():
                await self._end(end_within)
                if undo is not None and self._done.is_set() and self._error is None:
                    undo(cast("T", self._result))
            raise
        if not self._done.is_set():
            if self.give_up():
                raise StoreBusyError(
                    f"Another process kept the store busy for {begin_within:g} seconds; nothing "
                    "was changed. Try again, or see what holds it with `lsof`."
                )
            await self._end(end_within)
        if not self._done.is_set():
            raise late(
                f"The disk did not answer within {end_within:g} seconds. Load again when it does."
            )
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    async def _end(self, within: float) -> None:
        with anyio.move_on_after(within, shield=True):
            await self._done.wait()


def announce(jobs: Iterable[Job[Any]]) -> None:
    """Wake the callers of ``jobs``, with one call into each event loop; from a thread."""
    by_loop: dict[Callable[..., object], list[anyio.Event]] = {}
    for job in jobs:
        by_loop.setdefault(job.call_soon, []).append(job._done)
    for call_soon, events in by_loop.items():
        try:
            call_soon(_set_all, events)
        except RuntimeError:  # the loop is closed (trio: RunFinishedError), nobody waits
            continue


def _set_all(events: list[anyio.Event]) -> None:
    for event in events:
        event.set()


def _thread_safe_call() -> Callable[..., object]:
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return cast("Callable[..., object]", trio.lowlevel.current_trio_token().run_sync_soon)
    return asyncio.get_running_loop().call_soon_threadsafe


class Worker:
    """A daemon thread that does what it is given, in order."""

    def __init__(self, name: str) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def submit(self, task: Callable[[], None]) -> None:
        """Have ``task`` called in the thread; it must not raise."""
        self._queue.put(task)

    async def run(
        self,
        work: Callable[[], T],
        begin_within: float,
        end_within: float,
        *,
        undo: Callable[[T], None] | None = None,
    ) -> T:
        """Do ``work`` in the thread and return its result: see :meth:`Job.outcome`."""
        job = Job[T]()
        self.submit(lambda: do(job, work))
        return await job.outcome(begin_within, end_within, undo=undo)

    async def close(self, within: float) -> None:
        """Let the thread end after what it was given; wait for that at most ``within`` seconds."""
        with anyio.CancelScope(shield=True), suppress(StoreError):
            await self.run(lambda: self._queue.put(None), within, within)

    def _loop(self) -> None:
        while (task := self._queue.get()) is not None:
            task()


def do(job: Job[T], work: Callable[[], T]) -> None:
    """Do ``work`` for ``job`` unless it was given up, and announce it."""
    if job.begin():
        try:
            job.settle(work())
        except BaseException as error:
            job.fail(error)
        announce([job])
