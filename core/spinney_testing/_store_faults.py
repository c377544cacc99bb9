"""What every file-backed store must survive."""

from __future__ import annotations

import pytest

from spinney.providers import Capability, ProviderSpec
from spinney_testing._faults import FaultConformance
from spinney_testing._open_store import OpenStoreConformance
from spinney_testing._store_scenarios import STORE_SCENARIOS, Noticing
from spinney_testing.faults.scenario import Scenario


class StoreFaultConformance(OpenStoreConformance, FaultConformance, suite="store"):
    """The part of the store's suite that is about faults."""

    @pytest.fixture(params=STORE_SCENARIOS, ids=lambda scenario: scenario.__name__.lower())
    def scenario(self, request: pytest.FixtureRequest) -> Scenario:
        """Return each piece of a store's work: saving, loading, repairing, claiming."""
        made: Scenario = request.param()
        return made

    @pytest.fixture
    def noticing(self, provider: ProviderSpec) -> Scenario:
        """Return what judges whether damage is noticed, as far as that is declared."""
        return Noticing(every=Capability.CHECKSUMMED in provider.capabilities)
