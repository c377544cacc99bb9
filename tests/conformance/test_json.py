"""The built-in store does what spinney asks of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import spinney_json
from spinney.providers import ProviderSpec
from spinney_testing.store import StoreConformance


class TestJson(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = spinney_json.spinney_providers()
        return spec

    @pytest.fixture
    def damage(self, workspace: Path) -> Callable[[], None]:
        def cut() -> None:
            file = workspace / ".claude-container-sessions.json"
            file.write_bytes(file.read_bytes()[:-100])

        return cut
