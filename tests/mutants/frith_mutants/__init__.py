"""The built-in providers, each with one thing broken, and the promise that each breaks.

A conformance suite proves something only if it fails what is broken, by the test meant for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from frith.hookspecs import hookimpl
from frith.providers import ProviderSpec


@hookimpl
def frith_providers() -> Iterable[ProviderSpec]:
    """Offer every mutant."""
    from frith_mutants.tables import PROVIDERS

    return [mutant.spec() for mutant in PROVIDERS]
