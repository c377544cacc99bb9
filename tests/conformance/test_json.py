"""The built-in store does what spinney asks of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import spinney_json
from spinney.providers import ProviderSpec
from spinney_testing.store import StoreConformance


@pytest.mark.expensive("starts other processes, which import for half a second each")
class TestJson(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = spinney_json.spinney_providers()
        return spec

    @pytest.fixture
    def make_newer(self, workspace: Path) -> Callable[[], None]:
        def rewrite() -> None:
            file = workspace / ".claude-container-sessions.json"
            file.write_text(file.read_text().replace('"version": "1.0"', '"version": "1.1"'))

        return rewrite
