"""The built-in store does what frith asks of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import frith_json
from frith.providers import ProviderSpec
from frith_testing.store import StoreConformance


@pytest.mark.expensive("starts other processes, which import for half a second each")
class TestJson(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = frith_json.frith_providers()
        return spec

    @pytest.fixture
    def make_newer(self, workspace: Path) -> Callable[[], None]:
        def rewrite() -> None:
            file = workspace / ".claude-container-sessions.json"
            file.write_text(file.read_text().replace('"version": "1.0"', '"version": "1.1"'))

        return rewrite
