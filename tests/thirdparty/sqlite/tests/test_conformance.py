"""The store `sqlite` does what frith asks of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import frith_sqlite
import pytest

from frith.providers import ProviderSpec
from frith_testing.store import StoreConformance


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return frith_sqlite.frith_providers()[0]

    @pytest.fixture
    def damage(self, workspace: Path) -> Callable[[], None]:
        def overwrite() -> None:
            (workspace / ".sessions" / "sessions.db").write_bytes(b"no database\n" * 100)

        return overwrite
