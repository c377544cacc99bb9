"""The suites against installed providers, by name: ``pytest --pyargs spinney_testing``."""

from __future__ import annotations

import pytest

from spinney.errors import SpinneyError
from spinney_testing._installed import suites_for
from spinney_testing._plugin import chosen

if not chosen:
    raise pytest.Collector.CollectError(
        "Say what to test: --spinney-provider ROLE:NAME, or --spinney-provider all."
    )
try:
    globals().update((suite.__name__, suite) for suite in suites_for(chosen))
except SpinneyError as error:
    raise pytest.Collector.CollectError(str(error)) from error
