"""The plugin `policy` does what frith asks of a plugin with lifecycle hooks."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import frith_policy
import pytest

from frith import ManagerConfig
from frith_testing.lifecycle import LifecyclePluginConformance


class TestPolicy(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self) -> ModuleType:
        return frith_policy

    @pytest.fixture
    def other_config(self, tmp_path_factory: pytest.TempPathFactory) -> ManagerConfig:
        other: Path = tmp_path_factory.mktemp("other")
        # The beginning of a name that the suite creates sessions with.
        return ManagerConfig(
            workspace=other, options={"plugin": {"policy": {"forbidden": "sample"}}}
        )
