"""A cancelled wait affects no other caller."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio

from frith.model import ExitStatus
from frith_testing.harness.base import PATIENCE
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.harness.watchdog import unblocked_by
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.processes import Processes
from frith_testing.suites.terminal.shells import Spawn, shown
from frith_testing.suites.terminal.termination import WAIT

MANY = 100_000
"""Bytes, far more than a terminal buffers: to write them waits until the process reads."""
VIEWERS = 20
A_MOMENT = 0.05
"""Seconds after which waits are cancelled."""


class CancellationConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about cancelled waits."""

    @promise(since="1.1")
    async def test_a_cancelled_wait_for_the_end_does_not_affect_other_waits(
        self, spawn: Spawn
    ) -> None:
        terminal = await spawn("read -r _; exit 3")
        answers: list[ExitStatus] = []

        async def wait() -> None:
            answers.append(await terminal.exited())
            await terminal.drained()

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await _cancel_all(terminal.exited, terminal.drained)
                await terminal.write(b"\n")
            await wait()
        assert answers == [ExitStatus(code=3)] * 2

    @promise(since="1.1")
    async def test_a_cancelled_write_does_not_block_other_writes(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        go_on = workspace / "go-on"
        wait = f"while ! [ -e {go_on} ]; do sleep 0.01; done"
        terminal = await spawn(f"stty raw -echo; echo ready; {wait}; cat >kept")
        await shown(terminal, b"ready")
        await _cancel_all(lambda: terminal.write(b"x" * MANY))
        go_on.touch()
        await terminal.write(b"later")
        with anyio.fail_after(PATIENCE):
            kept = workspace / "kept"
            while not (kept.exists() and kept.read_bytes().endswith(b"later")):  # noqa: ASYNC110
                await anyio.sleep(0.01)

    @promise(since="1.1")
    async def test_a_cancelled_termination_can_be_repeated(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        session = a_session()
        terminal = await spawn(f"trap '' TERM HUP; echo ready; {WAIT}", session=session)
        await shown(terminal, b"ready")
        await _cancel_all(lambda: terminal.terminate(PATIENCE))
        assert processes.runs(terminal.pid), "the process was killed before its grace was over"
        with anyio.fail_after(PATIENCE):
            await terminal.terminate(0)
        assert processes.of(session.id) == set()

    @promise(since="1.1")
    async def test_closed_viewers_leave_no_descriptor(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        terminal = await spawn("echo ready; read -r _")
        await shown(terminal, b"ready")

        async def view() -> None:
            async with terminal.attach() as view:
                async for _ in view:
                    pass

        before = len(processes.descriptors(os.getpid()))
        await _cancel_all(*[view] * VIEWERS)
        assert len(processes.descriptors(os.getpid())) < before + VIEWERS // 2

    @promise(since="1.1")
    async def test_a_background_job_does_not_delay_exit_and_drain(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        end = workspace / "end"
        job = f"(trap '' HUP; echo runs; while ! [ -e {end} ]; do sleep 0.05; done) &"
        with unblocked_by(end.touch) as given_up:
            terminal = await spawn(f"{job} read -r _")
            await shown(terminal, b"runs")
            await terminal.write(b"\n")
            with anyio.fail_after(PATIENCE):
                await terminal.exited()
                await terminal.drained()
        assert not given_up.is_set(), "a background job delayed exited() or drained()"


async def _cancel_all(*waits: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Start all of ``waits`` and cancel them a moment later."""
    with anyio.move_on_after(A_MOMENT) as scope:
        async with anyio.create_task_group() as tasks:
            for wait in waits:
                tasks.start_soon(wait)
    assert scope.cancelled_caught, "one of them did not wait"
