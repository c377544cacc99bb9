"""The terminal that outlives its host does what spinney asks of a terminal."""

from __future__ import annotations

import pytest

import spinney_keeper
from spinney.providers import ProviderSpec
from spinney_testing.spawner import SpawnerConformance


@pytest.mark.expensive("starts many processes")
class TestKeeper(SpawnerConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = spinney_keeper.spinney_providers()
        return spec
