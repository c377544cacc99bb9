"""The built-in terminal does what spinney asks of a terminal."""

from __future__ import annotations

from importlib.metadata import version

import pytest

import spinney_pty
from spinney.providers import ProviderSpec
from spinney_testing import deviation
from spinney_testing.spawner import SpawnerConformance


@pytest.mark.expensive("starts many processes")
class TestPty(SpawnerConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = spinney_pty.spinney_providers()
        return spec

    if tuple(map(int, version("anyio").split(".")[:2])) >= (4, 14):
        test_the_end_of_a_process_is_noticed_in_a_program_that_asyncio_run_starts = deviation(
            "Its callbacks start tasks; anyio 4.14 and later refuse that where no task runs."
        )
