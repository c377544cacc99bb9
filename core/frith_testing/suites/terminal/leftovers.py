"""A terminal provider leaves no process, descriptor or thread behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from frith.errors import SpawnError
from frith.ports import Terminal
from frith.providers import Capability
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.processes import Processes
from frith_testing.suites.terminal.shells import Spawn, output_of, shown, spawning
from frith_testing.suites.terminal.termination import WAIT, WHEREABOUTS, job

MANY = 20
CHECKPOINTS, MOMENTS = 10, 90
"""A spawn is cancelled at each of its first checkpoints, then at ever later moments until it
completes first: at so many moments at most."""
FIRST, GROWTH = 0.001, 1.1
"""Seconds until the first cancellation after the checkpoints, and the factor to each next one."""


class LeftoversConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about what is left afterwards."""

    @promise(seconds=1)
    async def test_processes_that_ended_leave_no_zombie(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        await self._ends_many(lambda: spawn("exit 0"))
        assert processes.zombies() == set()

    @promise(seconds=1)
    async def test_processes_that_ended_leave_no_descriptor(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        await self._ends_many(lambda: spawn("exit 0"))
        before = len(processes.descriptors(os.getpid()))
        await self._ends_many(lambda: spawn("exit 0"))
        gc.collect()
        assert len(processes.descriptors(os.getpid())) == before

    @promise(seconds=1)
    async def test_processes_that_ended_leave_no_thread(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        await self._ends_many(lambda: spawn("exit 0"))
        before = processes.threads()
        await self._ends_many(lambda: spawn("exit 0"))
        # Shared worker threads may come and go; a thread for each process would be MANY.
        assert processes.threads() < before + MANY // 2

    async def test_a_refused_spawn_leaves_nothing(
        self, spawn: Spawn, workspace: Path, processes: Processes
    ) -> None:
        session = a_session()
        await self._refusals(spawn, workspace)
        before = len(processes.descriptors(os.getpid()))
        await self._refusals(spawn, workspace)
        assert len(processes.descriptors(os.getpid())) == before
        assert processes.of(session.id) == processes.zombies() == set()

    @promise(seconds=3)
    async def test_a_cancelled_spawn_leaves_no_process(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        for moment in range(MOMENTS):
            session = a_session()
            started: list[Terminal] = []

            async def start() -> None:
                started.append(await spawn(f"echo ready; {WAIT}", session=session))  # noqa: B023

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(start)
                await _wait_until(moment)
                tasks.cancel_scope.cancel()
            if started:
                break
            assert processes.of(session.id) == set(), f"cancelled at moment {moment}"

    @promise(without=Capability.ADOPT)
    @pytest.mark.parametrize("where", WHEREABOUTS)
    async def test_closing_the_provider_ends_its_processes(
        self, opening: Opening, workspace: Path, processes: Processes, where: str
    ) -> None:
        session = a_session()
        async with opening.open() as spawner:
            script = f"trap '' HUP TERM; {job(where)} echo ready; {WAIT}"
            terminal = await Spawn(spawner, workspace)(script, session=session)
            await shown(terminal, b"ready")
        assert processes.of(session.id) == processes.zombies() == set()

    async def test_closing_the_provider_releases_its_descriptors_and_threads(
        self, opening: Opening, workspace: Path, processes: Processes
    ) -> None:
        descriptors, threads = [], []
        for _ in range(4):
            async with opening.open() as spawner, spawning(spawner, workspace) as spawn:
                await output_of(await spawn("echo done"))
            gc.collect()
            descriptors.append(len(processes.descriptors(os.getpid())))
            threads.append(processes.threads())
        assert descriptors[-1] == descriptors[1], (
            "each opening leaves descriptors; the first one may open something shared"
        )
        assert threads != sorted(set(threads)), "each opening leaves a thread behind"

    async def _ends_many(self, start: Callable[[], Awaitable[Terminal]]) -> None:
        """Start processes one after the other, and wait until each has ended by itself."""
        for _ in range(MANY):
            terminal = await start()
            with anyio.fail_after(PATIENCE):
                await terminal.exited()
                await terminal.drained()

    async def _refusals(self, spawn: Spawn, workspace: Path) -> None:
        for command, cwd in (("/no/such/command", workspace), ("true", workspace / "missing")):
            for _ in range(MANY):
                with pytest.raises(SpawnError):
                    await spawn.command(command, cwd=str(cwd))


async def _wait_until(moment: int) -> None:
    """Wait for some checkpoints or, at a later ``moment``, for some time."""
    for _ in range(min(moment, CHECKPOINTS)):
        await anyio.lowlevel.checkpoint()
    if moment > CHECKPOINTS:
        await anyio.sleep(FIRST * GROWTH ** (moment - CHECKPOINTS - 1))
