"""The terminal that outlives its host does what frith asks of a terminal."""

from __future__ import annotations

import pytest

import frith_keeper
from frith.providers import ProviderSpec
from frith_testing.spawner import SpawnerConformance


@pytest.mark.expensive("starts many processes")
class TestKeeper(SpawnerConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = frith_keeper.frith_providers()
        return spec
