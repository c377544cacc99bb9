"""The built-in store and recovery keep every promise under every fault of the laboratory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import spinney_git
import spinney_json
from spinney.providers import ProviderSpec, Role
from spinney_testing import _recovery_scenarios as recovery
from spinney_testing import _store_scenarios as store
from spinney_testing._opening import Opening
from spinney_testing.faults.crash_states import at_every_crash_state
from spinney_testing.faults.damage import with_every_damage
from spinney_testing.faults.report import Report
from spinney_testing.faults.scenario import Scenario
from spinney_testing.faults.system_calls import at_every_system_call

pytestmark = [pytest.mark.usefixtures("interception"), pytest.mark.timeout(300)]

SPECS = {
    spec.role: spec
    for spec in (*spinney_json.spinney_providers(), *spinney_git.spinney_providers())
}
WORK = [
    *((SPECS[Role.STORE], scenario) for scenario in store.STORE_SCENARIOS),
    *((SPECS[Role.RECOVERY], scenario) for scenario in recovery.RECOVERY_SCENARIOS),
]
DAMAGED = [
    (SPECS[Role.STORE], store.Noticing),
    (SPECS[Role.RECOVERY], recovery.NoticingMarkers),
]


def keeps_its_promises(report: Report, record_property: Any) -> None:
    print(report)
    record_property("report", str(report))
    assert report.tried > 0
    assert not report.violations, report


@pytest.mark.requirement("R3.6")
@pytest.mark.requirement("R5.2")
@pytest.mark.parametrize(("spec", "scenario"), WORK)
def test_at_every_system_call(
    spec: ProviderSpec,
    scenario: type[Scenario],
    repository: Path,
    anyio_backend: Any,
    record_property: Any,
) -> None:
    opening = Opening(spec, spec.config(), repository)
    report = at_every_system_call(scenario(), opening, backend=anyio_backend)
    keeps_its_promises(report, record_property)


@pytest.mark.requirement("R3.5")
@pytest.mark.parametrize(("spec", "scenario"), WORK)
def test_at_every_crash_state(
    spec: ProviderSpec,
    scenario: type[Scenario],
    repository: Path,
    anyio_backend: Any,
    record_property: Any,
) -> None:
    opening = Opening(spec, spec.config(), repository)
    report = at_every_crash_state(scenario(), opening, backend=anyio_backend)
    keeps_its_promises(report, record_property)
    assert report.left_out == 0


@pytest.mark.requirement("R3.3")
@pytest.mark.parametrize(("spec", "scenario"), DAMAGED)
def test_with_every_damage(
    spec: ProviderSpec, scenario: type[Scenario], repository: Path, record_property: Any
) -> None:
    opening = Opening(spec, spec.config(), repository)
    report = with_every_damage(scenario(), opening, backend="asyncio")
    keeps_its_promises(report, record_property)
