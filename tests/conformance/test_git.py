"""The built-in workspace and recovery do what spinney asks of them."""

from __future__ import annotations

import pytest

import spinney_git
from spinney.providers import ProviderSpec, Role
from spinney_testing.recovery import RecoveryConformance
from spinney_testing.workspace import WorkspaceConformance


def offered(role: Role) -> ProviderSpec:
    (spec,) = (spec for spec in spinney_git.spinney_providers() if spec.role is role)
    return spec


@pytest.mark.requirement("R6.6")
class TestGitWorkspace(WorkspaceConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return offered(Role.WORKSPACE)


@pytest.mark.requirement("R6.6")
class TestGitRecovery(RecoveryConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return offered(Role.RECOVERY)
