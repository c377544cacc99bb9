"""The built-in store does what spinney asks of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import spinney_json
from spinney.providers import ProviderSpec
from spinney_testing.store import StoreConformance


@pytest.mark.requirement("R6.6")
class TestJson(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = spinney_json.spinney_providers()
        return spec

    @pytest.fixture
    def damage(self, workspace: Path) -> Callable[[], None]:
        def truncate() -> None:
            state = workspace / ".claude-container-sessions.json"
            state.write_bytes(state.read_bytes()[:-20])

        return truncate
