"""A provider with all it needs to be opened, in any process."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from frith.config import ManagerConfig
from frith.plugins import load_plugins
from frith.providers import ProviderSpec, Role


@dataclass(frozen=True, slots=True)
class Context:
    """What the suites give a provider's factory: the installed providers, with their defaults."""

    workspace: Path

    def open(self, role: Role, name: str) -> AbstractAsyncContextManager[Any]:
        """Open another installed provider, to wrap it.

        Raises:
            ProviderNotFoundError: no plugin that can be loaded offers it.
            DuplicateProviderError: several do.
        """
        plugins = load_plugins(ManagerConfig(workspace=self.workspace))
        spec = plugins.choose(role, name).spec
        return spec.factory(spec.config(), self)


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens a provider on a workspace, any number of times; each stands for another host."""

    spec: ProviderSpec
    options: BaseModel
    workspace: Path

    def open(self) -> AbstractAsyncContextManager[Any]:
        """Open the provider as frith does."""
        return self.spec.factory(self.options, Context(self.workspace))

    def at(self, workspace: Path) -> Opening:
        """Return what opens the same provider on another workspace."""
        return replace(self, workspace=workspace)
