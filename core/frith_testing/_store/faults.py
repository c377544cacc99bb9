"""What every file-backed store must survive."""

from __future__ import annotations

import pytest

from frith.providers import Capability, ProviderSpec
from frith_testing._base import Opening
from frith_testing._faults import FaultConformance
from frith_testing._promises import promise
from frith_testing._report import DOES_NOT_APPLY
from frith_testing._store.opened import OpenStoreConformance
from frith_testing._store.scenarios import STORE_SCENARIOS, Noticing, Repairing
from frith_testing.faults import histories, leaks, limits
from frith_testing.faults.limits import Limit
from frith_testing.faults.scenario import Scenario

SECONDS, SEED = 5.0, 17
"""For how long processes are killed, and which ones."""
COMMITS = 300
"""After so many a leak shows."""


class StoreFaultConformance(OpenStoreConformance, FaultConformance, suite="store"):
    """The part of the store's suite that is about faults."""

    @pytest.fixture(params=STORE_SCENARIOS, ids=lambda scenario: scenario.__name__.lower())
    def scenario(self, request: pytest.FixtureRequest, provider: ProviderSpec) -> Scenario:
        """Return each piece of a store's work: saving, loading, repairing, claiming."""
        if request.param is Repairing and Capability.REPAIR not in provider.capabilities:
            pytest.skip(f"{DOES_NOT_APPLY}'repair' is not declared")
        made: Scenario = request.param()
        return made

    @pytest.fixture
    def noticing(self, provider: ProviderSpec) -> Scenario:
        """Return what judges whether damage is noticed, as far as that is declared."""
        return Noticing(every=Capability.CHECKSUMMED in provider.capabilities)

    @pytest.mark.faults
    @pytest.mark.parametrize("limit", Limit)
    @promise(needs=Capability.FILE_BACKED)
    def test_a_limit_of_the_system_is_reported_and_breaks_nothing(
        self, opening: Opening, limit: Limit
    ) -> None:
        if reason := limits.unavailable(limit):
            pytest.skip(reason)
        report = limits.run(opening, limit)
        assert report.met, f"the limit was not met: {report}"
        assert not report.violations, "\n".join(report.violations)

    @pytest.mark.faults
    @promise(needs=Capability.MULTI_PROCESS)
    def test_the_history_of_processes_killed_at_random_fits_one_order(
        self, opening: Opening
    ) -> None:
        report = histories.run(opening, seconds=SECONDS, seed=SEED, commits=COMMITS)
        assert report.commits, f"nothing was committed: {report}"
        assert not report.violations, "\n".join((f"seed {SEED}", *report.violations))

    @pytest.mark.faults
    @promise(needs=Capability.FILE_BACKED)
    def test_many_commits_and_faults_leave_nothing_behind(self, opening: Opening) -> None:
        report = leaks.run(opening, commits=COMMITS, faults=COMMITS // 5)
        assert not report.violations, "\n".join(report.violations)
