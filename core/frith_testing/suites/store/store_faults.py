"""Faults that every file-backed store must survive."""

from __future__ import annotations

import pytest

from frith.providers import Capability, ProviderSpec
from frith_testing.faults import histories, leaks, limits
from frith_testing.faults.limits import Limit
from frith_testing.faults.scenario import Scenario
from frith_testing.harness.base import Opening
from frith_testing.harness.promises import promise
from frith_testing.harness.report import DOES_NOT_APPLY
from frith_testing.suites.file_faults import FaultConformance
from frith_testing.suites.store.open_store import OpenStoreConformance
from frith_testing.suites.store.store_scenarios import STORE_SCENARIOS, Noticing, Repairing

SECONDS, SEED = 5.0, 17
"""The length of a run in which processes are killed, and the seed of the choice."""
COMMITS = 300
"""The number of commits after which a leak shows."""


class StoreFaultConformance(OpenStoreConformance, FaultConformance, suite="store"):
    """Promises about faults."""

    @pytest.fixture(params=STORE_SCENARIOS, ids=lambda scenario: scenario.__name__.lower())
    def scenario(self, request: pytest.FixtureRequest, provider: ProviderSpec) -> Scenario:
        """Return each piece of a store's work: saving, loading, repairing, claiming."""
        if request.param is Repairing and Capability.REPAIR not in provider.capabilities:
            pytest.skip(f"{DOES_NOT_APPLY}'repair' is not declared")
        made: Scenario = request.param()
        return made

    @pytest.fixture
    def noticing(self, provider: ProviderSpec) -> Scenario:
        """Return the scenario whose check fails if damage is not noticed as declared."""
        return Noticing(every=Capability.CHECKSUMMED in provider.capabilities)

    @pytest.mark.faults
    @pytest.mark.parametrize("limit", Limit)
    @promise(needs=Capability.FILE_BACKED, seconds=4)
    def test_a_limit_of_the_system_is_reported_and_breaks_no_promise(
        self, opening: Opening, limit: Limit
    ) -> None:
        if reason := limits.unavailable(limit):
            pytest.skip(reason)
        report = limits.run(opening, limit)
        assert report.met, f"the limit was not met: {report}"
        assert not report.violations, "\n".join(report.violations)

    @pytest.mark.faults
    @promise(needs=Capability.MULTI_PROCESS, seconds=10)
    def test_the_history_of_processes_killed_at_random_fits_one_order(
        self, opening: Opening
    ) -> None:
        report = histories.run(opening, seconds=SECONDS, seed=SEED, commits=COMMITS)
        assert report.commits, f"nothing was committed: {report}"
        assert not report.violations, "\n".join((f"seed {SEED}", *report.violations))

    @pytest.mark.faults
    @promise(needs=Capability.FILE_BACKED, seconds=4)
    def test_many_commits_and_faults_leave_nothing_behind(self, opening: Opening) -> None:
        report = leaks.run(opening, commits=COMMITS, faults=COMMITS // 5)
        assert not report.violations, "\n".join(report.violations)
