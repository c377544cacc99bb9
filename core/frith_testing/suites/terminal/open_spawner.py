"""The base class of the promises of terminal providers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from frith.providers import Role
from frith_testing.harness.base import Opening, ProviderConformance
from frith_testing.suites.terminal.processes import Processes
from frith_testing.suites.terminal.shells import Spawn, spawning


class OpenSpawnerConformance(ProviderConformance, suite="terminal"):
    """Opens the provider, and shows the processes of the system."""

    role = Role.TERMINAL

    @pytest.fixture
    async def spawn(self, opening: Opening, workspace: Path) -> AsyncIterator[Spawn]:
        """Return a function that starts a shell script, which is terminated after the test."""
        async with opening.open() as spawner, spawning(spawner, workspace) as spawn:
            yield spawn

    @pytest.fixture
    def processes(self) -> Processes:
        """Return the processes as the kernel shows them."""
        if not Processes.are_shown():
            pytest.skip("this system has no /proc")
        return Processes()
