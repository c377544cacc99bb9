"""Each scenario has nothing to complain of where no fault hits it."""

from __future__ import annotations

from pathlib import Path

import pytest

import frith_git
import frith_json
from frith.providers import ProviderSpec, Role
from frith_testing.faults.scenario import Scenario
from frith_testing.harness.opening import Opening
from frith_testing.suites.recovery.marker_scenarios import RECOVERY_SCENARIOS
from frith_testing.suites.store.store_scenarios import STORE_SCENARIOS

(STORE,) = frith_json.frith_providers()
(RECOVERY,) = (spec for spec in frith_git.frith_providers() if spec.role is Role.RECOVERY)


@pytest.mark.parametrize(
    ("spec", "scenario"),
    [
        *((STORE, scenario) for scenario in STORE_SCENARIOS),
        *((RECOVERY, scenario) for scenario in RECOVERY_SCENARIOS),
    ],
)
async def test_a_scenario_without_a_fault_is_sound(
    spec: ProviderSpec, scenario: type[Scenario], repository: Path
) -> None:
    opening = Opening(spec, spec.config(), repository)
    work, acknowledged = scenario(), list[str]()
    await work.prepare(opening)
    await work.work(opening, acknowledged.append)
    await work.check(opening, acknowledged)
