"""The store `sqlite` does what spinney asks of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import spinney_sqlite

from spinney.providers import ProviderSpec
from spinney_testing.store import StoreConformance


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return spinney_sqlite.spinney_providers()[0]

    @pytest.fixture
    def damage(self, workspace: Path) -> Callable[[], None]:
        def overwrite() -> None:
            (workspace / ".sessions" / "sessions.db").write_bytes(b"no database\n" * 100)

        return overwrite
