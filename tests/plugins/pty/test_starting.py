"""A start takes its time without blocking the event loop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from frith.errors import SpawnError
from frith.ports import SpawnRequest, TerminalSpawner
from frith_os.processes import all_pids, environ_of
from frith_pty import spawner as spawner_module
from frith_pty import start as start_module
from frith_terminals import threads
from waiting import PATIENCE, until


def carriers(session_id: str) -> list[int]:
    mark = f"FRITH_SESSION_ID={session_id}".encode()
    return [pid for pid in all_pids() if mark in (environ_of(pid) or ())]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts are held up, in a thread, until the test lets them go on."""
    go, begun = threading.Event(), threading.Event()
    launch = start_module._launch

    def slowly(*arguments: object) -> int:
        pid = launch(*arguments)  # type: ignore[arg-type]
        begun.set()
        assert go.wait(PATIENCE)
        return pid

    monkeypatch.setattr(start_module, "_launch", slowly)
    slowly.go, slowly.begun = go, begun  # type: ignore[attr-defined]
    yield slowly
    go.set()


async def until_begun(slow: Any) -> None:
    assert await anyio.to_thread.run_sync(slow.begun.wait, PATIENCE)


async def until_it_runs(session_id: str) -> None:
    # posix_spawn(3) returns a moment before /proc shows the environment of the new program.
    await until(lambda: carriers(session_id))


async def test_the_event_loop_goes_on_while_a_process_starts(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], slow: Any
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(spawner.spawn, request_for("cat"))
        await until_begun(slow)
        slow.go.set()


@pytest.mark.requirement("R2.2")
async def test_a_start_that_is_cancelled_leaves_nothing_once_it_returns(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], session_id: str, slow: Any
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(spawner.spawn, request_for("sleep", "100"))
        await until_begun(slow)
        await until_it_runs(session_id)
        tasks.cancel_scope.cancel()
        slow.go.set()
    assert carriers(session_id) == []


async def test_a_start_that_outlasts_the_provider_leaves_nothing(
    opened: Any, request_for: Callable[..., SpawnRequest], session_id: str, slow: Any
) -> None:
    async def start(spawner: TerminalSpawner) -> None:
        with pytest.raises(SpawnError, match="closed"):
            await spawner.spawn(request_for("sleep", "100"))

    async with anyio.create_task_group() as tasks:
        async with opened() as spawner:
            tasks.start_soon(start, spawner)
            await until_begun(slow)
            threading.Timer(0.05, slow.go.set).start()
        assert carriers(session_id) == []


async def test_no_thread_is_left_after_a_start(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest]
) -> None:
    before = set(os.listdir("/proc/self/task"))
    for _ in range(5):
        await (await spawner.spawn(request_for("true"))).drained()
    await until(lambda: not set(os.listdir("/proc/self/task")) - before)


async def test_without_a_thread_nothing_is_started(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start_new_thread", refuse)
    with pytest.raises(SpawnError, match="can't start new thread; end some processes"):
        await spawner.spawn(request_for("true"))


async def test_an_unexpected_error_of_a_start_reaches_the_caller(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(spawner_module, "start", fail)
    with pytest.raises(ZeroDivisionError):
        await spawner.spawn(request_for("true"))
