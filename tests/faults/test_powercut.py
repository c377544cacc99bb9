"""Power cuts on real file systems: correct stores pass, one without fsync is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frith_testing.faults import powercut
from frith_testing.faults.machine.images import FileSystem
from frith_testing.harness.opening import Opening


def skip_unless_available(file_system: FileSystem) -> None:
    if reason := powercut.unavailable(file_system):
        pytest.skip(reason)


@pytest.mark.requirement("R3.5")
@pytest.mark.parametrize("file_system", FileSystem)
def test_acknowledged_commits_survive_a_power_cut(
    json_store: Opening, file_system: FileSystem
) -> None:
    skip_unless_available(file_system)
    report = powercut.run(json_store, file_system, cuts=10, seed=1)
    assert report.violations == ()
    assert report.cuts == 10
    assert report.commits > 0


def test_a_correct_store_passes(flawed: Callable[[str], Opening]) -> None:
    skip_unless_available(FileSystem.EXT4)
    assert powercut.run(flawed(""), FileSystem.EXT4, cuts=10, seed=2).violations == ()


@pytest.mark.parametrize("file_system", FileSystem)
def test_a_store_without_fsync_is_found(
    flawed: Callable[[str], Opening], file_system: FileSystem
) -> None:
    skip_unless_available(file_system)
    report = powercut.run(flawed("no fsync"), file_system, cuts=10, seed=3)
    assert any("was acknowledged" in violation for violation in report.violations), report
