"""The plugin `policy` does what spinney asks of a plugin with lifecycle hooks."""

from __future__ import annotations

import pytest
import spinney_policy

from spinney_testing.lifecycle import LifecyclePluginConformance


class TestPolicy(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self) -> spinney_policy.Policy:
        return spinney_policy.Policy()
