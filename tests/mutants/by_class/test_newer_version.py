"""The suite of the store with the fixture ``make_newer``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from frith.config import ManagerConfig
from frith.plugins import load_plugins
from frith.providers import ProviderSpec, Role
from frith_testing.store import StoreConformance


class _Base:
    label: ClassVar[str]

    @pytest.fixture
    def provider(self, tmp_path: Path) -> ProviderSpec:
        plugins = load_plugins(ManagerConfig(workspace=tmp_path))
        return plugins.choose(Role.STORE, self.label.removeprefix("store:")).spec

    @pytest.fixture
    def make_newer(self, workspace: Path) -> Callable[[], None]:
        def rewrite() -> None:
            file = workspace / ".claude-container-sessions.json"
            file.write_text(file.read_text().replace('"version": "1.0"', '"version": "1.1"'))

        return rewrite


class Test_store_json(_Base, StoreConformance):  # noqa: N801 - named as the suites name it
    label = "store:json"


class Test_store_accepts_a_newer_version(_Base, StoreConformance):  # noqa: N801
    label = "store:accepts-a-newer-version"
