"""The built-in terminal does what frith asks of a terminal."""

from __future__ import annotations

import pytest

import frith_pty
from frith.providers import ProviderSpec
from frith_testing.spawner import SpawnerConformance


@pytest.mark.expensive("starts many processes")
class TestPty(SpawnerConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = frith_pty.frith_providers()
        return spec
