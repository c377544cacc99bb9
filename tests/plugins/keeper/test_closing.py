"""Descriptors that a host releases when it gives up on a keeper."""

from __future__ import annotations

import os
import signal
from typing import Any

import anyio
import pytest

from frith_keeper import spawner as module
from frith_keeper.errors import KeeperError
from frith_keeper.greeting import receive_greeting


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


async def test_a_keeper_with_an_invalid_greeting_leaves_no_descriptor(
    shell: Any, record: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = await shell("sleep 100")
    answered = receive_greeting

    def without_sizes(connection: Any) -> Any:
        greeted = answered(connection)
        del greeted.fields["sizes"]
        return greeted

    monkeypatch.setattr(module, "receive_greeting", without_sizes)
    async with other() as host:
        before = descriptors()
        with pytest.raises(KeyError):
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
