"""The built-in logging does what frith asks of a plugin with lifecycle hooks."""

from __future__ import annotations

from types import ModuleType

import pytest

import frith_log
from frith_testing.lifecycle import LifecyclePluginConformance


class TestLog(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self) -> ModuleType:
        return frith_log
