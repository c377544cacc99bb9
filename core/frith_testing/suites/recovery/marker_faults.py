"""Faults that every file-backed recovery must survive."""

from __future__ import annotations

import pytest

from frith.providers import Role
from frith_testing.faults.scenario import Scenario
from frith_testing.suites.file_faults import FaultConformance
from frith_testing.suites.recovery.marker_scenarios import RECOVERY_SCENARIOS, NoticingMarkers


class RecoveryFaultConformance(FaultConformance, suite="recovery"):
    """Promises about faults."""

    role = Role.RECOVERY

    @pytest.fixture(params=RECOVERY_SCENARIOS, ids=lambda scenario: scenario.__name__.lower())
    def scenario(self, request: pytest.FixtureRequest) -> Scenario:
        """Return each operation of a recovery: remembering, rebuilding."""
        made: Scenario = request.param()
        return made

    @pytest.fixture
    def noticing(self) -> Scenario:
        """Return the scenario whose check fails if a damaged marker is not noticed."""
        return NoticingMarkers()
