"""The plugin `policy` does what frith asks of a plugin with lifecycle hooks."""

from __future__ import annotations

import frith_policy
import pytest

from frith_testing.lifecycle import LifecyclePluginConformance


class TestPolicy(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self) -> frith_policy.Policy:
        return frith_policy.Policy()
