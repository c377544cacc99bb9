"""A plugin, loaded and configured as frith does it for each manager."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from frith.config import ManagerConfig
from frith.plugins import Plugins, PluginState
from frith_testing.suites.lifecycle.hook_call import LIFECYCLE_HOOKS, Call
from frith_testing.suites.lifecycle.sample_events import sample_events


@contextmanager
def configured(plugin: Any, config: ManagerConfig) -> Iterator[Plugins]:
    """Load and configure ``plugin``; in the end, release what it holds."""
    plugins = Plugins()
    plugins.add("plugin", plugin)
    plugins.configure(config)
    try:
        (record,) = plugins.records
        if record.state is not PluginState.LOADED:
            pytest.fail(record.reason)
        yield plugins
    finally:
        plugins.close()


def calls_of(plugins: Plugins, config: ManagerConfig) -> list[Call]:
    """Return every lifecycle hook of a configured plugin, with each sample event."""
    return [
        Call(name, implementation.call, event, config.hook_timeout, plugins.logger)
        for name in LIFECYCLE_HOOKS
        for implementation in plugins.implementations(name)
        for event in sample_events(name, str(config.workspace))
    ]
