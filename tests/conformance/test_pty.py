"""The built-in terminal does what spinney asks of a terminal."""

from __future__ import annotations

import pytest

import spinney_pty
from spinney.providers import ProviderSpec
from spinney_testing.spawner import SpawnerConformance


@pytest.mark.expensive("starts many processes")
class TestPty(SpawnerConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = spinney_pty.spinney_providers()
        return spec
