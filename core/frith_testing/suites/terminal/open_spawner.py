"""The base of the parts of the terminal's suite: the provider, opened, and what is left of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from frith.providers import Role
from frith_testing.harness.base import Opening, ProviderConformance
from frith_testing.suites.terminal.processes import Processes
from frith_testing.suites.terminal.shells import Spawn, spawning


class OpenSpawnerConformance(ProviderConformance, suite="terminal"):
    """Base of the parts of the terminal's suite."""

    role = Role.TERMINAL

    @pytest.fixture
    async def spawn(self, opening: Opening, workspace: Path) -> AsyncIterator[Spawn]:
        """Return what starts a shell script; it is ended after the test."""
        async with opening.open() as spawner, spawning(spawner, workspace) as spawn:
            yield spawn

    @pytest.fixture
    def processes(self) -> Processes:
        """Return the processes as the kernel shows them, whatever the terminal says."""
        if not Processes.are_shown():
            pytest.skip("this system does not show processes under /proc")
        return Processes()
