"""The built-in logging does what frith asks of a plugin with lifecycle hooks."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import frith_log
from frith.config import ManagerConfig
from frith_testing.lifecycle import LifecyclePluginConformance


def configuration(workspace: Path, **options: object) -> ManagerConfig:
    return ManagerConfig(workspace=workspace, options={"plugin": {"log": options}})


class TestLog(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self) -> ModuleType:
        return frith_log


class TestOwnLog(TestLog):
    """Two managers that have a log of their own."""

    @pytest.fixture
    def config(self, tmp_path: Path) -> ManagerConfig:
        return configuration(tmp_path, configure=True, level="debug", file="log")

    @pytest.fixture
    def other_config(self, tmp_path_factory: pytest.TempPathFactory) -> ManagerConfig:
        other = tmp_path_factory.mktemp("other")
        return configuration(other, configure=True, level="warning", file="log")


class TestOwnLogOnStandardError(TestOwnLog):
    @pytest.fixture
    def config(self, tmp_path: Path) -> ManagerConfig:
        return configuration(tmp_path, configure=True)
