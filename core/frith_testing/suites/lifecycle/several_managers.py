"""A plugin with lifecycle hooks serves each manager of a process by that manager's options."""

from __future__ import annotations

from typing import Any

import pytest

from frith.config import ManagerConfig
from frith_testing.harness.base import Conformance
from frith_testing.harness.files import files_of
from frith_testing.harness.promises import promise
from frith_testing.suites.lifecycle.configured import calls_of, configured
from frith_testing.suites.lifecycle.hook_call import Call
from frith_testing.suites.lifecycle.process_state import process_now


class SeveralManagersConformance(Conformance, suite="lifecycle", subject="plugin"):
    """Promises about two managers with two configurations in one process."""

    @pytest.fixture
    def other_config(self, tmp_path_factory: pytest.TempPathFactory) -> ManagerConfig:
        """Return the configuration of another manager, without options unless overridden."""
        return ManagerConfig(workspace=tmp_path_factory.mktemp("other"))

    @promise(since="1.1")
    async def test_another_manager_does_not_change_the_results_of_hooks(
        self, plugin: Any, calls: list[Call], other_config: ManagerConfig
    ) -> None:
        before = [await call.outcome() for call in calls]
        with configured(plugin, other_config) as other:
            for call in calls_of(other, other_config):
                await call.answer()
            assert [await call.outcome() for call in calls] == before
        assert [await call.outcome() for call in calls] == before

    @promise(since="1.1")
    async def test_hooks_write_nothing_in_the_workspace_of_another_manager(
        self, plugin: Any, config: ManagerConfig, calls: list[Call], other_config: ManagerConfig
    ) -> None:
        with configured(plugin, other_config) as other:
            there = files_of(other_config.workspace)
            for call in calls:
                await call.answer()
            assert files_of(other_config.workspace) == there
            here = files_of(config.workspace)
            for call in calls_of(other, other_config):
                await call.answer()
            assert files_of(config.workspace) == here

    @promise(since="1.1")
    def test_configuring_does_not_change_the_shared_state_of_the_process(
        self, plugin: Any, config: ManagerConfig
    ) -> None:
        before = process_now()
        with configured(plugin, config):
            assert process_now() == before
        assert process_now() == before
