"""Loading and configuring a plugin as spinney does it."""

from __future__ import annotations

from typing import Any

from spinney._loading import Plugins
from spinney.config import ManagerConfig


def configured(plugin: Any, config: ManagerConfig) -> Plugins:
    """Return ``plugin``, loaded and configured."""
    plugins = Plugins()
    plugins.add("plugin", plugin)
    for configure in plugins.implementations("spinney_configure"):
        configure.call(config)
    return plugins
