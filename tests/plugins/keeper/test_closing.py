"""Descriptors that a host releases when it gives up on a keeper."""

from __future__ import annotations

import errno
import os
import signal
from typing import Any

import anyio
import pytest

from frith_keeper import finding as module
from frith_keeper.link import KeeperError, receive_greeting
from frith_terminals.readiness import Readiness


def descriptors() -> Any:
    return set(os.listdir("/proc/self/fd"))


async def test_a_keeper_that_answers_a_closed_provider_leaves_no_descriptor(
    shell: Any, other: Any, record: Any, keeper_of: Any, tools: Any
) -> None:
    terminal = await shell("sleep 100")
    refused = []

    async def adopt(host: Any) -> None:
        with pytest.raises(KeeperError, match="closed"):
            await host.adopt(record(terminal))
        refused.append(True)

    before = descriptors()
    with anyio.fail_after(tools.patience):
        async with anyio.create_task_group() as adopters:
            os.kill(keeper_of(terminal), signal.SIGSTOP)
            async with other() as host:
                adopters.start_soon(adopt, host)
                await anyio.wait_all_tasks_blocked()
            os.kill(keeper_of(terminal), signal.SIGCONT)
    assert refused
    assert descriptors() == before


async def test_a_keeper_that_cannot_be_watched_leaves_no_descriptor(
    shell: Any, record: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = await shell("sleep 100")
    watch = Readiness.watch
    watched: list[int] = []

    def only_one(readiness: Any, fd: int, callback: Any) -> None:
        if watched:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        watched.append(fd)
        watch(readiness, fd, callback)

    monkeypatch.setattr(Readiness, "watch", only_one)
    async with other() as host:
        before = descriptors()
        with pytest.raises(OSError, match="No space"):
            await host.adopt(record(terminal))
        assert descriptors() == before


async def test_collecting_that_is_cancelled_leaves_no_descriptor(
    shell: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = await shell("exit 3")
    with anyio.fail_after(tools.patience):
        await terminal.drained()
    answered = receive_greeting
    before = descriptors()
    with anyio.CancelScope() as scope, monkeypatch.context() as patched:

        def too_late(connection: Any) -> Any:
            scope.cancel()
            return answered(connection)

        patched.setattr(module, "receive_greeting", too_late)
        await terminal.collect()
    assert scope.cancelled_caught
    assert descriptors() == before
