"""The suites for installed providers, by name: ``pytest --pyargs frith_testing``."""

from __future__ import annotations

import pytest

from frith.errors import FrithError
from frith_testing.pytest_plugin import chosen, given_options
from frith_testing.selection import suites_for

if not chosen:
    raise pytest.Collector.CollectError(
        "Say what to test: --frith-provider ROLE:NAME, or --frith-provider all."
    )
try:
    globals().update((suite.__name__, suite) for suite in suites_for(chosen, given_options))
except FrithError as error:
    raise pytest.Collector.CollectError(str(error)) from error
