"""The built-in providers, each with one deliberate fault, and the promise that the fault breaks.

A suite proves something only if it fails a faulty provider by the test that is meant for the fault.
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
