"""What every terminal provider must leave behind: nothing."""

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
"""A spawn is cancelled at each of its first checkpoints, then later each time until it completes
first: at most at so many moments."""
FIRST, GROWTH = 0.001, 1.1
"""Seconds until the first cancellation after those, and the factor from each to the next: moments
are close together at first, and a spawn of one second takes ten seconds in all."""


class LeftoversConformance(OpenSpawnerConformance, suite="terminal"):
    """The part of the terminal's suite that is about what stays when all is over."""

    async def test_processes_that_ended_leave_no_zombie(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        await self._ends_many(lambda: spawn("exit 0"))
        assert processes.zombies() == set()

    async def test_processes_that_ended_leave_no_descriptor(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        await self._ends_many(lambda: spawn("exit 0"))
        before = len(processes.descriptors(os.getpid()))
        await self._ends_many(lambda: spawn("exit 0"))
        gc.collect()
        assert len(processes.descriptors(os.getpid())) == before

    async def test_processes_that_ended_leave_no_thread(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        await self._ends_many(lambda: spawn("exit 0"))
        before = processes.threads()
        await self._ends_many(lambda: spawn("exit 0"))
        # Workers that others use may come or go meanwhile; a thread for each would be MANY.
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
                await come(moment)
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
        assert descriptors[-1] == descriptors[1], "the first opening may open what all share"
        assert threads != sorted(set(threads)), "each opening leaves a thread"

    async def _ends_many(self, start: Callable[[], Awaitable[Terminal]]) -> None:
        """Start processes that end by themselves, one after the other, and wait for each."""
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


async def come(moment: int) -> None:
    """Wait until a moment in the life of what was begun just now."""
    for _ in range(min(moment, CHECKPOINTS)):
        await anyio.lowlevel.checkpoint()
    if moment > CHECKPOINTS:
        await anyio.sleep(FIRST * GROWTH ** (moment - CHECKPOINTS - 1))
