"""A signal ends a command cleanly."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.lowlevel
import pytest

from frith_cli.context import Interrupted
from frith_cli.guard import Guard, drive, guarded

Result = TypeVar("Result")


def drive_guarded(work: Callable[[Guard], Awaitable[Result]]) -> Result:
    """Run ``work`` so that a signal cancels it."""

    async def run() -> Result:
        async with guarded() as guard:
            return await work(guard)

    return drive(run)


async def turns_of_the_loop() -> None:
    """Let the event loop take note of a signal that has arrived."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


def test_drive_returns_the_result() -> None:
    async def work(_: Guard) -> str:
        return "done"

    assert drive_guarded(work) == "done"


def test_drive_raises_the_error_unwrapped() -> None:
    async def work(_: Guard) -> None:
        raise LookupError("this one")

    with pytest.raises(LookupError, match="this one"):
        drive_guarded(work)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_work_clean_up(number: signal.Signals) -> None:
    cleaned = []

    async def work(_: Guard) -> None:
        try:
            os.kill(os.getpid(), number)
            await anyio.sleep_forever()
        finally:
            cleaned.append(True)

    with pytest.raises(Interrupted) as caught:
        drive_guarded(work)
    assert caught.value.number == number
    assert cleaned == [True]


def test_a_signal_cancels_only_the_body_of_within() -> None:
    ended = []

    async def work(guard: Guard) -> None:
        async with anyio.create_task_group() as around:
            around.start_soon(anyio.sleep_forever)
            try:
                with guard.within():
                    os.kill(os.getpid(), signal.SIGTERM)
                    await anyio.sleep_forever()
            finally:
                await anyio.lowlevel.checkpoint()
                ended.append(True)
                around.cancel_scope.cancel()

    with pytest.raises(Interrupted):
        drive_guarded(work)
    assert ended == [True]


def test_drive_raises_the_error_of_a_task_unwrapped() -> None:
    async def fail() -> None:
        raise LookupError("this one")

    async def work(_: Guard) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)

    with pytest.raises(LookupError, match="this one"):
        drive_guarded(work)


def test_a_second_signal_does_not_interrupt_the_cleanup() -> None:
    cleaned = []

    async def work(_: Guard) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                os.kill(os.getpid(), signal.SIGINT)
                await turns_of_the_loop()
                cleaned.append(True)

    with pytest.raises(Interrupted) as caught:
        drive_guarded(work)
    assert caught.value.number == signal.SIGTERM
    assert cleaned == [True]


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    async def work(_: Guard) -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        await turns_of_the_loop()
        return "done"

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert drive_guarded(work) == "done"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
