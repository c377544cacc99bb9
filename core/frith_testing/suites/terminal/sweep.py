"""Processes that a killed host left behind are swept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from frith.errors import UnsupportedCapabilityError
from frith.model import Session
from frith.ports import SweepReport
from frith.providers import Capability
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.process import elsewhere
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.processes import Processes
from frith_testing.suites.terminal.shells import Spawn, shown
from frith_testing.suites.terminal.termination import WAIT, WHEREABOUTS, job, job_in


class SweepConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about the processes of killed hosts."""

    async def test_sweeping_a_session_without_processes_finds_nothing(self, spawn: Spawn) -> None:
        await spawn("read -r _")
        assert await spawn.spawner.sweep(a_session(), 0) == SweepReport()

    async def test_sweeping_leaves_a_process_that_only_has_the_recorded_pid(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        stranger = await spawn(f"echo ready; {WAIT}")
        await shown(stranger, b"ready")
        session = a_session(pty_pid=stranger.pid).detail(terminal_ref=stranger.ref)
        assert (await spawn.spawner.sweep(session, 0)).found == ()
        assert processes.runs(stranger.pid)

    async def test_a_process_left_behind_by_a_killed_host_is_swept(
        self, spawn: Spawn, opening: Opening, processes: Processes
    ) -> None:
        session = await left_behind(opening, a_session())
        with anyio.fail_after(PATIENCE):
            report = await spawn.spawner.sweep(session, 0.1)
        assert processes.of(session.id) == set()
        assert session.pty_pid in report.found
        assert report.ended == report.found
        assert await spawn.spawner.sweep(session, 0.1) == SweepReport()

    @pytest.mark.parametrize("where", WHEREABOUTS)
    async def test_sweeping_finds_processes_of_the_session_in_other_groups_and_directories(
        self, spawn: Spawn, opening: Opening, processes: Processes, where: str
    ) -> None:
        session = await left_behind(opening, a_session(), job(where))
        running = job_in(opening.workspace)
        assert running in processes.of(session.id)
        with anyio.fail_after(PATIENCE):
            report = await spawn.spawner.sweep(session, 0.1)
        assert processes.of(session.id) == set()
        assert running in report.found

    async def test_sweeping_leaves_other_sessions(
        self, spawn: Spawn, opening: Opening, processes: Processes
    ) -> None:
        swept = await left_behind(opening, a_session())
        other = await left_behind(opening, a_session())
        await spawn.spawner.sweep(swept, 0)
        assert other.pty_pid in processes.of(other.id)
        await spawn.spawner.sweep(other, 0)

    async def test_sweeping_leaves_the_sessions_of_a_copied_workspace(
        self, spawn: Spawn, opening: Opening, processes: Processes
    ) -> None:
        copy = opening.at(opening.workspace.with_name("copy"))
        copy.workspace.mkdir()
        session = await left_behind(copy, a_session())
        assert (await spawn.spawner.sweep(session, 0)).found == ()
        assert session.pty_pid in processes.of(session.id)
        async with copy.open() as there:
            await there.sweep(session, 0)
        assert processes.of(session.id) == set()

    @promise(without=Capability.ADOPT)
    async def test_adopting_is_refused_unless_declared(self, spawn: Spawn) -> None:
        with pytest.raises(UnsupportedCapabilityError) as caught:
            await spawn.spawner.adopt(a_session())
        assert caught.value.capability == Capability.ADOPT


async def left_behind(opening: Opening, session: Session, script: str = "") -> Session:
    """Have a host start a process that survives it, and kill the host; return the session."""
    async with elsewhere(leaves_behind, opening, session, script) as other:
        pid, ref = await other.step()
        await other.kill()
    return session.evolve(pty_pid=pid).detail(terminal_ref=ref)


async def leaves_behind(
    opening: Opening, session: Session, script: str
) -> AsyncIterator[tuple[int, Any]]:
    """In another process: start a process that survives it; yield its pid and reference."""
    async with opening.open() as spawner:
        spawn = Spawn(spawner, opening.workspace)
        terminal = await spawn(f"trap '' HUP; {script} echo ready; {WAIT}", session=session)
        await shown(terminal, b"ready")
        yield terminal.pid, terminal.ref
