"""The suites against installed providers, by name: ``pytest --pyargs frith_testing``."""

from __future__ import annotations

import pytest

from frith.errors import FrithError
from frith_testing._installed import suites_for
from frith_testing._plugin import chosen

if not chosen:
    raise pytest.Collector.CollectError(
        "Say what to test: --frith-provider ROLE:NAME, or --frith-provider all."
    )
try:
    globals().update((suite.__name__, suite) for suite in suites_for(chosen))
except FrithError as error:
    raise pytest.Collector.CollectError(str(error)) from error
