"""The built-in workspace and recovery do what spinney asks of them."""

from __future__ import annotations

import pytest

import spinney_git
from spinney.providers import ProviderSpec, Role
from spinney_testing.recovery import RecoveryConformance
from spinney_testing.workspace import WorkspaceConformance

SPECS = {spec.role: spec for spec in spinney_git.spinney_providers()}


class TestGitWorkspace(WorkspaceConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return SPECS[Role.WORKSPACE]


class TestGitRecovery(RecoveryConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return SPECS[Role.RECOVERY]
