"""The base class of the promises of terminal providers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from frith.ports import TerminalSpawner
from frith.providers import Capability, ProviderSpec, Role
from frith_testing.harness.base import Opening, ProviderConformance
from frith_testing.harness.samples import a_session
from frith_testing.suites.terminal.processes import Processes
from frith_testing.suites.terminal.shells import Spawn, output_of, spawning


class OpenSpawnerConformance(ProviderConformance, suite="terminal"):
    """Opens the provider, and shows the processes of the system."""

    role = Role.TERMINAL

    @pytest.fixture
    async def spawn(self, opening: Opening, workspace: Path) -> AsyncIterator[Spawn]:
        """Return a function that starts a shell script, which is terminated after the test."""
        async with opening.open() as spawner, spawning(spawner, workspace) as spawn:
            yield spawn

    @pytest.fixture
    def operate(
        self, provider: ProviderSpec, workspace: Path
    ) -> Callable[[TerminalSpawner], Awaitable[None]]:
        """Return a function that calls the operations of an opened provider."""

        async def operate(spawner: TerminalSpawner) -> None:
            session = a_session()
            async with spawning(spawner, workspace) as spawn:
                terminal = await spawn("read -r _", session=session)
                await terminal.write(b"\n")
                await output_of(terminal)
                await (await spawn("read -r _")).terminate(0)
                if Capability.ADOPT in provider.capabilities:
                    await spawner.kept()
            await spawner.sweep(session, 0)
            if Capability.RECALL in provider.capabilities:
                await spawner.recall(session)
                await spawner.forget(session.id)

        return operate

    @pytest.fixture
    def processes(self) -> Processes:
        """Return the processes as the kernel shows them."""
        if not Processes.are_shown():
            pytest.skip("this system has no /proc")
        return Processes()
