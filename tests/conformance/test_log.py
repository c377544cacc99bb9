"""The built-in logging does what spinney asks of a plugin with lifecycle hooks."""

from __future__ import annotations

from types import ModuleType

import pytest

import spinney_log
from spinney_testing.lifecycle import LifecyclePluginConformance


class TestLog(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self) -> ModuleType:
        return spinney_log
