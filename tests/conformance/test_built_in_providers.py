"""The built-in providers do what is asked of anyone's. Run by ``tox -e conformance``."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from spinney.hookspecs import ENTRY_POINT_GROUP
from spinney.providers import ProviderSpec, Role
from spinney_testing.recovery import RecoveryConformance
from spinney_testing.spawner import SpawnerConformance
from spinney_testing.store import StoreConformance
from spinney_testing.workspace import WorkspaceConformance

pytestmark = pytest.mark.requirement("R6.6")


def offered(plugin: str, role: Role) -> ProviderSpec:
    [entry] = entry_points(group=ENTRY_POINT_GROUP, name=plugin)
    [spec] = [spec for spec in entry.load().spinney_providers() if spec.role is role]
    assert isinstance(spec, ProviderSpec)
    return spec


class TestJsonStore(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return offered("json", Role.STORE)

    @pytest.fixture
    def damage(self, workspace: Path) -> Callable[[], None]:
        def truncate() -> None:
            state = workspace / ".claude-container-sessions.json"
            state.write_bytes(state.read_bytes()[:-20])

        return truncate


class TestGitWorkspace(WorkspaceConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return offered("git", Role.WORKSPACE)


class TestGitRecovery(RecoveryConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return offered("git", Role.RECOVERY)


class TestPtySpawner(SpawnerConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return offered("pty", Role.TERMINAL)
