"""One mutant: a built-in provider with one deliberate fault."""

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
"""The plugin of the original provider, by role."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault, and the promise that a suite must report as broken."""

    role: Role
    name: str
    broken: str
    """The fault, in a sentence."""
    promise: str
    """The promise that must be reported as broken."""
    wraps: Callable[[Any, ProviderContext], Any] | None = None
    """Wraps the opened original provider."""
    replaces: Mapping[str, Replacement] = field(default_factory=dict)
    """Functions to replace, as ``module:name``, each with a function that takes the original."""
    case: str = ""
    """The parameter of the test that shows it, if all parameters would take minutes."""
    hides: frozenset[Capability] = frozenset()
    """Capabilities of the original that it does not declare."""
    plugin: str = ""
    """The plugin of the original provider, if not the usual one of the role."""
    clears: Callable[[], None] | None = None
    """Removes what an opening has left in this process, which must not affect the next one."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name, because the functions of a mutant are not picklable."""
        return _named, (self.role, self.name)

    def original(self) -> ProviderSpec:
        """Return the original provider."""
        plugin = importlib.import_module(self.plugin or _ORIGINALS[self.role])
        specs: list[ProviderSpec] = plugin.frith_providers()
        (spec,) = (spec for spec in specs if spec.role is self.role)
        return spec

    def spec(self) -> ProviderSpec:
        """Return the mutant as a provider."""
        original = self.original()
        capabilities = original.capabilities - self.hides
        return replace(original, name=self.name, factory=self.open, capabilities=capabilities)

    @asynccontextmanager
    async def open(self, options: Any, context: ProviderContext) -> AsyncIterator[Any]:
        """Open the original with its fault."""
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
