"""The suites against installed providers, by name: ``pytest --pyargs spinney_testing``."""

from __future__ import annotations

from typing import Any

import pytest

from spinney_testing._installed import suites_for
from spinney_testing._plugin import chosen

if not chosen:
    raise pytest.UsageError(
        "say what to test: --spinney-provider ROLE:NAME, or --spinney-provider all"
    )

_classes: dict[str, Any] = {suite.__name__: suite for suite in suites_for(chosen)}
globals().update(_classes)
