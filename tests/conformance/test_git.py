"""The built-in workspace and recovery do what frith asks of them."""

from __future__ import annotations

import pytest

import frith_git
from frith.providers import ProviderSpec, Role
from frith_testing.recovery import RecoveryConformance
from frith_testing.workspace import WorkspaceConformance

SPECS = {spec.role: spec for spec in frith_git.frith_providers()}


class TestGitWorkspace(WorkspaceConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return SPECS[Role.WORKSPACE]


class TestGitRecovery(RecoveryConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return SPECS[Role.RECOVERY]
