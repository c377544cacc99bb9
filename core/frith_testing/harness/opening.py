"""A provider with everything that is needed to open it, in any process."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from pydantic import BaseModel

from frith.config import ManagerConfig
from frith.plugins import load_plugins
from frith.providers import ProviderSpec, Role


@dataclass(frozen=True, slots=True)
class Context:
    """The context of a provider's factory: it opens installed providers, with their defaults."""

    workspace: Path
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(40))

    def open(self, role: Role, name: str) -> AbstractAsyncContextManager[Any]:
        """Open another installed provider, to wrap it.

        Raises:
            ProviderNotFoundError: no plugin that can be loaded offers it.
            DuplicateProviderError: several plugins offer it.
        """
        plugins = load_plugins(ManagerConfig(workspace=self.workspace))
        spec = plugins.choose(role, name).spec
        return spec.factory(spec.config(), self)


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens a provider on a workspace, any number of times; each opening stands for a host."""

    spec: ProviderSpec
    options: BaseModel
    workspace: Path

    def open(self) -> AbstractAsyncContextManager[Any]:
        """Open the provider as frith does."""
        return self.spec.factory(self.options, Context(self.workspace))

    def at(self, workspace: Path) -> Opening:
        """Return an opening of the same provider on another workspace."""
        return replace(self, workspace=workspace)
