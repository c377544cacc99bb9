"""The built-in providers, each with one thing broken, and the promise that each breaks.

A conformance suite proves something only if it fails what is broken, by the test meant for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from spinney.hookspecs import hookimpl
from spinney.providers import ProviderSpec


@hookimpl
def spinney_providers() -> Iterable[ProviderSpec]:
    """Offer every mutant."""
    from spinney_mutants.tables import PROVIDERS

    return [mutant.spec() for mutant in PROVIDERS]
