"""Loading and configuring a plugin as frith does it."""

from __future__ import annotations

from typing import Any

from frith.config import ManagerConfig
from frith.plugins import Plugins


def configured(plugin: Any, config: ManagerConfig) -> Plugins:
    """Return ``plugin``, loaded and configured."""
    plugins = Plugins()
    plugins.add("plugin", plugin)
    for configure in plugins.implementations("frith_configure"):
        configure.call(config)
    return plugins
