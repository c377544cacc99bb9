"""Faults that every file-backed provider must survive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pytest

from frith.providers import Capability
from frith_testing.faults.crash_states import at_every_crash_state
from frith_testing.faults.damage import with_every_damage
from frith_testing.faults.findings import Report
from frith_testing.faults.fork_server import ForkServer
from frith_testing.faults.laboratory import Backend
from frith_testing.faults.scenario import Scenario
from frith_testing.faults.shim import Fault
from frith_testing.faults.system_calls import at_every_system_call
from frith_testing.harness.base import Opening, ProviderConformance
from frith_testing.harness.promises import promise

STATES = 500
"""The number of crash states of each model that are checked, at most."""
SAMPLE = 500
"""The number of damages of each file that are tried if not all are."""


class LaboratoryArguments(TypedDict):
    """Arguments of the laboratory's functions other than the scenario."""

    opening: Opening
    backend: Backend
    server: ForkServer


class FaultConformance(ProviderConformance, suite="provider"):
    """Promises about faults.

    A suite defines the fixtures ``scenario``, with a parameter for each operation of the provider,
    and ``noticing``, the scenario that checks damaged files.
    """

    @pytest.fixture
    def scenario(self) -> Scenario:
        """Return an operation of the provider."""
        raise NotImplementedError

    @pytest.fixture
    def noticing(self, provider: object) -> Scenario:
        """Return the scenario whose check fails if damage is not noticed."""
        raise NotImplementedError

    @pytest.fixture
    def laboratory(
        self, opening: Opening, anyio_backend_name: str, frith_fork_server: ForkServer
    ) -> LaboratoryArguments:
        """Return the arguments of the laboratory's functions."""
        backend: Backend = "trio" if anyio_backend_name == "trio" else "asyncio"
        return {"opening": opening, "backend": backend, "server": frith_fork_server}

    @pytest.mark.faults
    @promise(needs=Capability.FILE_BACKED, seconds=6)
    def test_a_kill_at_any_system_call_breaks_no_promise(
        self, scenario: Scenario, laboratory: LaboratoryArguments
    ) -> None:
        kinds = (Fault.KILL_BEFORE, Fault.KILL_AFTER)
        require_sound(at_every_system_call(scenario, kinds=kinds, **laboratory))

    @pytest.mark.faults
    @pytest.mark.parametrize("kind", [Fault.EIO, Fault.ENOSPC, Fault.EMFILE])
    @promise(needs=Capability.FILE_BACKED, seconds=4)
    def test_a_failure_of_any_system_call_is_reported_and_breaks_no_promise(
        self, scenario: Scenario, laboratory: LaboratoryArguments, kind: Fault
    ) -> None:
        require_sound(at_every_system_call(scenario, kinds=[kind], **laboratory))

    @pytest.mark.faults
    @promise(needs=Capability.FILE_BACKED, seconds=2)
    def test_a_short_read_or_write_breaks_no_promise(
        self, scenario: Scenario, laboratory: LaboratoryArguments
    ) -> None:
        kinds: Sequence[Fault] = [Fault.SHORT]
        require_sound(at_every_system_call(scenario, kinds=kinds, **laboratory))

    @pytest.mark.faults
    @promise(needs=Capability.FILE_BACKED, seconds=3)
    def test_every_possible_state_after_a_power_cut_is_as_promised(
        self, scenario: Scenario, laboratory: LaboratoryArguments
    ) -> None:
        require_sound(at_every_crash_state(scenario, limit=STATES, **laboratory))

    @pytest.mark.faults
    @promise(needs=Capability.CHECKSUMMED, seconds=15)
    def test_every_truncation_and_every_flipped_bit_is_noticed(
        self, noticing: Scenario, laboratory: LaboratoryArguments
    ) -> None:
        # All damages on one backend are enough, because the backend does not affect what is read.
        sample = SAMPLE if laboratory["backend"] == "trio" else None
        require_sound(with_every_damage(noticing, sample=sample, **laboratory))

    @pytest.mark.faults
    @promise(needs=Capability.FILE_BACKED, without=Capability.CHECKSUMMED, seconds=4)
    def test_damage_raises_no_untyped_error(
        self, noticing: Scenario, laboratory: LaboratoryArguments
    ) -> None:
        require_sound(with_every_damage(noticing, sample=SAMPLE, **laboratory))


def require_sound(report: Report) -> None:
    """Fail with the violations of ``report``."""
    assert report.tried, "no fault could be tried"
    assert not report.violations, str(report)
