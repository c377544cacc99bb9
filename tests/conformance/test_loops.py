"""The suites run on asyncio as in a program that ``asyncio.run`` starts."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from frith_testing.harness.loops import PlainLoop

pytest_plugins = ["pytester"]

CALLING = """
import asyncio
import anyio
import pytest
import frith
from frith_testing.lifecycle import LifecyclePluginConformance

class Calling:
    @frith.hookimpl
    async def frith_session_created(self, event):
        asyncio.get_running_loop().call_soon(anyio.current_time)
        await anyio.sleep(0)

class TestCalling(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self):
        return Calling()
"""

Loop = asyncio.AbstractEventLoop
CallBack = Callable[..., None]


def after_a_future(loop: Loop, callback: CallBack, _: socket.socket) -> None:
    future = loop.create_future()
    future.add_done_callback(callback)
    future.set_result(None)


def after_a_task(loop: Loop, callback: CallBack, _: socket.socket) -> None:
    loop.create_task(asyncio.sleep(0)).add_done_callback(callback)


def after_a_signal(loop: Loop, callback: CallBack, _: socket.socket) -> None:
    loop.add_signal_handler(signal.SIGUSR1, callback)
    os.kill(os.getpid(), signal.SIGUSR1)


SCHEDULES: dict[str, Callable[[Loop, CallBack, socket.socket], object]] = {
    "call_soon": lambda loop, callback, _: loop.call_soon(callback),
    "call_soon_threadsafe": lambda loop, callback, _: loop.call_soon_threadsafe(callback),
    "call_later": lambda loop, callback, _: loop.call_later(0, callback),
    "call_at": lambda loop, callback, _: loop.call_at(loop.time(), callback),
    "add_reader": lambda loop, callback, ours: loop.add_reader(ours, callback),
    "add_writer": lambda loop, callback, ours: loop.add_writer(ours, callback),
    "add_signal_handler": after_a_signal,
    "Future.add_done_callback": after_a_future,
    "Task.add_done_callback": after_a_task,
}


@pytest.fixture
def ours() -> Iterator[socket.socket]:
    """A socket that is readable and writable."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"x")
        yield ours


@pytest.mark.parametrize("way", SCHEDULES)
@pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"loop_factory": PlainLoop})], ids=["asyncio"]
)
@pytest.mark.anyio
async def test_anyio_finds_no_library_in_a_callback(way: str, ours: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    called = loop.create_future()

    def callback(*_: object) -> None:
        loop.remove_reader(ours)
        loop.remove_writer(ours)
        try:
            called.set_result(anyio.current_time())
        except BaseException as error:
            called.set_exception(error)

    SCHEDULES[way](loop, callback, ours)
    try:
        with pytest.raises(RuntimeError, match=r"(?i)not currently running|unknown async library"):
            await called
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)


def test_a_provider_whose_callback_calls_anyio_is_found(promises: Any) -> None:
    found, code = promises(CALLING, "-k", "hooks_return_nothing and asyncio")
    assert found["hooks return nothing"]["outcome"] == "broken"
    assert code == pytest.ExitCode.TESTS_FAILED
