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
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

import anyio

from frith.errors import StoreBusyError, StoreError
from frith_unix import holding

T = TypeVar("T")


class Turn:
    """Callers of one event loop who wait together: for one event, and one of them minds the time.

    A deadline and an event for each of a hundred callers would cost more than what they wait for.
    """

    def __init__(self) -> None:
        self.is_over = False
        """Whether all that these callers wait for is decided."""
        self._call_soon = thread_safe_call()
        self._event = anyio.Event()
        self._deadline: float | None = None
        self._is_timed = False
        self._is_late = False

    async def wait(self, within: float) -> None:
        """Return when it is over, or ``within`` seconds after the first has begun to wait."""
        while not (self.is_over or self._is_late):
            if self._is_timed:
                await self._event.wait()
            else:
                await self._mind_the_time(within)

    async def end(self, within: float) -> None:
        """Return when it is over, or after ``within`` seconds; shielded from cancellation."""
        with anyio.move_on_after(within, shield=True):
            while not self.is_over:
                await self._event.wait()

    def announce(self) -> None:
        """Tell the callers that it is over; from any thread."""
        with suppress(RuntimeError):  # the loop is closed (trio: RunFinishedError), nobody waits
            self._call_soon(self._finish)

    async def _mind_the_time(self, within: float) -> None:
        self._deadline = self._deadline or anyio.current_time() + within
        self._is_timed = True
        try:
            with anyio.CancelScope(deadline=self._deadline) as scope:
                await self._event.wait()
            self._is_late = scope.cancelled_caught
        finally:
            self._is_timed = False
            if not self.is_over:  # late; or cancelled, and another has to take over
                self._wake()

    def _finish(self) -> None:
        self.is_over = True
        self._event.set()

    def _wake(self) -> None:
        woken, self._event = self._event, anyio.Event()
        woken.set()


class Job(Generic[T]):
    """Something that one async caller waits for. Made in the event loop, done in a thread."""

    __slots__ = ("_error", "_fate", "_result", "_whose", "turn")

    def __init__(self, turn: Turn | None = None) -> None:
        self.turn = turn or Turn()
        """Those who wait with this caller."""
        self._fate = threading.Lock()
        self._whose = threading.Lock()
        self._result: T | None = None
        self._error: BaseException | None = None

    def begin(self) -> bool:
        """Decide that it is done; false if its caller has given it up."""
        return self._fate.acquire(blocking=False)

    def give_up(self) -> bool:
        """Decide that it is not done; false if it has begun."""
        return self._fate.acquire(blocking=False)

    def hand_over(self) -> bool:
        """Decide that the result is the caller's; false if it waits no more."""
        return self._whose.acquire(blocking=False)

    def leave(self) -> bool:
        """Decide that the caller does not take the result; false if it has it."""
        return self._whose.acquire(blocking=False)

    def settle(self, result: T) -> None:
        """Keep the result; :meth:`Turn.announce` hands it over."""
        self._result = result

    def fail(self, error: BaseException) -> None:
        """Keep the error; :meth:`Turn.announce` hands it over."""
        self._error = error

    async def outcome(
        self,
        begin_within: float,
        end_within: float,
        *,
        late: type[StoreError] = StoreError,
        undo: Callable[[T], None] | None = None,
        lock: str | None = None,
    ) -> T:
        """Wait for the result.

        Cancelled before it has begun, the job is not done. Cancelled later, it is waited for and
        then the cancellation goes on, after ``undo`` was called with the result; so it is if the
        job ends too late.

        Args:
            begin_within: seconds in which it must have begun.
            end_within: seconds in which it must end once it has begun.
            late: what is raised if it did not.
            undo: quick, never blocks.
            lock: path of the lock file that it waits for before it begins.

        Raises:
            StoreBusyError: it did not begin in time and will not be done.
            StoreError: it did not end in time.
        """
        try:
            await self.turn.wait(begin_within)
        except anyio.get_cancelled_exc_class():
            if not self.give_up():
                await self.turn.end(end_within)
                if undo is not None and not self.leave():
                    undo(cast("T", self._result))
            raise
        if not self.turn.is_over:
            if self.give_up():
                raise await _busy(begin_within, lock)
            await self.turn.end(end_within)
        if not self.turn.is_over and self.leave():
            raise late(
                f"The disk did not answer within {end_within:g} seconds. Load again when it does."
            )
        if self._error is not None:
            raise self._error
        return cast("T", self._result)


async def _busy(seconds: float, lock: str | None) -> StoreBusyError:
    if lock is None:
        return StoreBusyError(
            f"The disk kept the store busy for {seconds:g} seconds; nothing was changed. Try again."
        )
    holder = await anyio.to_thread.run_sync(holding.described, lock)
    return StoreBusyError(
        f"{holder} kept the store busy for {seconds:g} seconds; nothing was changed. Let it "
        f"finish, or end it; then try again. The lock is {lock!r}.",
        holder,
    )


def thread_safe_call() -> Callable[..., object]:
    """Return what has something called in the running event loop, from any thread."""
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
        self.submit(lambda: do(job, work, undo))
        return await job.outcome(begin_within, end_within, undo=undo)

    async def close(self, within: float) -> None:
        """Let the thread end after what it was given; wait for that at most ``within`` seconds.

        If it takes longer, the thread ends after this has returned.
        """
        try:
            with anyio.CancelScope(shield=True), suppress(StoreError):
                await self.run(lambda: None, within, within)
        finally:
            self._queue.put(None)

    def _loop(self) -> None:
        while (task := self._queue.get()) is not None:
            task()


def do(job: Job[T], work: Callable[[], T], undo: Callable[[T], None] | None = None) -> None:
    """Do ``work`` for ``job`` unless it was given up, and announce it.

    If the caller has not waited so long, ``undo`` is called with the result.
    """
    if job.begin():
        try:
            result = work()
        except BaseException as error:
            job.fail(error)
        else:
            job.settle(result)
            if undo is not None and not job.hand_over():
                undo(result)
        job.turn.announce()
