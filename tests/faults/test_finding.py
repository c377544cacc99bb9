"""Each kind of fault finds the flawed stores that it is meant for."""

from __future__ import annotations

from pathlib import Path

import pytest

from frith_testing.faults.crash_states import at_every_crash_state
from frith_testing.faults.damage import with_every_damage
from frith_testing.faults.disk_model.disk import Model
from frith_testing.faults.scenario import Scenario, ViolationError
from frith_testing.faults.shim import Fault
from frith_testing.faults.system_calls import at_every_system_call
from frith_testing.suites.store import store_scenarios as scenarios

import small_stores as small  # isort: skip - found by the path that conftest sets

pytestmark = pytest.mark.usefixtures("interception")

KILLS = (Fault.KILL_BEFORE, Fault.KILL_AFTER)
ERRORS = (Fault.EIO, Fault.ENOSPC, Fault.EMFILE)


@pytest.mark.parametrize("scenario", scenarios.STORE_SCENARIOS)
def test_a_correct_store_survives_every_fault_at_every_system_call(
    scenario: type[Scenario], workspace: Path
) -> None:
    report = at_every_system_call(scenario(), small.opening(small.SmallStore, workspace))
    assert not report.violations, report
    assert {*Fault} - {*report.by_kind} <= {Fault.SHORT}  # a claim reads and writes nothing


@pytest.mark.parametrize("scenario", scenarios.STORE_SCENARIOS)
def test_a_correct_store_survives_every_crash(scenario: type[Scenario], workspace: Path) -> None:
    report = at_every_crash_state(scenario(), small.opening(small.SmallStore, workspace))
    assert not report.violations, report
    assert set(report.by_kind) == {*Model}
    assert report.left_out == 0


@pytest.mark.parametrize(
    ("store", "scenario", "kinds", "said"),
    [
        (small.InPlace, scenarios.Saving, KILLS, "CorruptStoreError"),
        (small.InPlace, scenarios.Saving, ERRORS, "Corrupt"),
        (small.ExclusiveTemporary, scenarios.Saving, KILLS, "File exists"),
        (small.PilesUpTemporaries, scenarios.Saving, KILLS, "files pile up"),
        (small.PilesUpTemporaries, scenarios.Saving, ERRORS, "files pile up"),
        (small.TakesFailureForMissing, scenarios.Loading, ERRORS, "lost"),
        (small.AcknowledgesBefore, scenarios.Saving, KILLS, "lost"),
        (small.WritesOnce, scenarios.Saving, (Fault.SHORT,), "CorruptStoreError"),
        (small.ClaimsByFile, scenarios.Claiming, KILLS, "not free"),
    ],
)
def test_a_fault_at_a_system_call_finds_a_flawed_store(
    store: type[small.SmallStore],
    scenario: type[Scenario],
    kinds: tuple[Fault, ...],
    said: str,
    workspace: Path,
) -> None:
    report = at_every_system_call(scenario(), small.opening(store, workspace), kinds=kinds)
    assert report.violations
    assert said in str(report)


def test_work_that_breaks_a_promise_without_any_fault_is_found(workspace: Path) -> None:
    opening = small.opening(small.DropsCorrupt, workspace)
    with pytest.raises(ViolationError, match="check fails without a fault: the only copy"):
        at_every_system_call(scenarios.Repairing(), opening)


def test_a_store_that_hangs_is_found(workspace: Path) -> None:
    opening = small.opening(small.Hangs, workspace)
    report = at_every_system_call(scenarios.Loading(), opening, kinds=[Fault.EIO], timeout=5.0)
    assert "it hung" in str(report)


@pytest.mark.parametrize("model", Model)
@pytest.mark.parametrize(
    ("store", "said"),
    [
        (small.NoFsync, "CorruptStoreError"),
        (small.NoDirectoryFsync, "lost"),
        (small.InPlace, "CorruptStoreError"),
        (small.AcknowledgesBefore, "lost"),
    ],
)
def test_a_crash_finds_a_flawed_store(
    store: type[small.SmallStore], said: str, model: Model, workspace: Path
) -> None:
    report = at_every_crash_state(
        scenarios.Saving(), small.opening(store, workspace), models=[model]
    )
    assert report.violations
    assert said in str(report)


def test_every_damage_is_noticed_by_a_checksum(workspace: Path) -> None:
    report = with_every_damage(
        scenarios.Noticing(), small.opening(small.SmallStore, workspace), sample=500
    )
    assert not report.violations, report
    assert report.by_kind["flipped"] > report.by_kind["truncated"] > 0


def test_damage_finds_a_store_without_checksum(workspace: Path) -> None:
    opening = small.opening(small.NoChecksum, workspace)
    report = with_every_damage(scenarios.Noticing(), opening, sample=500)
    assert "not noticed" in str(report)
    assert report.left_out > 0


def test_a_store_without_checksum_still_reports_damage_as_the_port_says(workspace: Path) -> None:
    opening = small.opening(small.NoChecksum, workspace)
    report = with_every_damage(scenarios.Noticing(every=False), opening, sample=500)
    assert not report.violations, report
