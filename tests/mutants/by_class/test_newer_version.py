"""The store under test with what its name alone does not say: how a newer file of it looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spinney._loading import load_plugins
from spinney.config import ManagerConfig
from spinney.providers import ProviderSpec, Role
from spinney_testing._plugin import chosen
from spinney_testing.store import StoreConformance


class TestStore(StoreConformance):
    @pytest.fixture
    def provider(self, tmp_path: Path) -> ProviderSpec:
        (subject,) = chosen
        plugins = load_plugins(ManagerConfig(workspace=tmp_path))
        return plugins.choose(Role.STORE, subject.removeprefix("store:")).spec

    @pytest.fixture
    def make_newer(self, workspace: Path) -> Callable[[], None]:
        def rewrite() -> None:
            file = workspace / ".claude-container-sessions.json"
            file.write_text(file.read_text().replace('"version": "1.0"', '"version": "1.1"'))

        return rewrite
