"""One mutant: a built-in provider with one thing broken."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from frith.providers import Capability, ProviderContext, ProviderSpec, Role
from frith_mutants._replacing import Replacement, replaced

_ORIGINALS = {
    Role.STORE: "frith_json",
    Role.WORKSPACE: "frith_git",
    Role.RECOVERY: "frith_git",
    Role.TERMINAL: "frith_pty",
    Role.STATUS: "frith_status",
}
"""The plugin whose provider is broken, by role."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is broken, and the promise that a suite must report as broken."""

    role: Role
    name: str
    broken: str
    """What is wrong, in a sentence."""
    promise: str
    """The promise meant to fail, as the report of the suite calls it."""
    wraps: Callable[[Any, ProviderContext], Any] | None = None
    """Given the original provider, opened, returns what stands in front of it."""
    replaces: Mapping[str, Replacement] = field(default_factory=dict)
    """Parts of the plugin, as ``module:name``, and what makes the broken one of the original."""
    case: str = ""
    """The parameter of the promise's test that shows it, where the whole would take minutes."""
    hides: frozenset[Capability] = frozenset()
    """Capabilities that it has and does not declare."""
    plugin: str = ""
    """The plugin whose provider is broken, if not the usual one of the role."""
    clears: Callable[[], None] | None = None
    """Removes what an opening has left in this process: it must not count against the next one."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process by name: what is broken need not be picklable."""
        return _named, (self.role, self.name)

    def original(self) -> ProviderSpec:
        """Return the provider that is broken here, as it is."""
        plugin = importlib.import_module(self.plugin or _ORIGINALS[self.role])
        specs: list[ProviderSpec] = plugin.frith_providers()
        (spec,) = (spec for spec in specs if spec.role is self.role)
        return spec

    def spec(self) -> ProviderSpec:
        """Return the provider under the name of the mutant."""
        original = self.original()
        capabilities = original.capabilities - self.hides
        return replace(original, name=self.name, factory=self.open, capabilities=capabilities)

    @asynccontextmanager
    async def open(self, options: Any, context: ProviderContext) -> AsyncIterator[Any]:
        """Open the original, broken for as long."""
        try:
            with replaced(self.replaces):
                async with self.original().factory(options, context) as provider:
                    yield self.wraps(provider, context) if self.wraps else provider
        finally:
            if self.clears:
                self.clears()


def _named(role: Role, name: str) -> Mutant:
    from frith_mutants.tables import PROVIDERS

    (mutant,) = (each for each in PROVIDERS if (each.role, each.name) == (role, name))
    return mutant
