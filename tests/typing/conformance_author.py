"""What the author of a provider writes to prove it, as mypy --strict sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

import pytest

from frith.ports import SessionStore
from frith.providers import ProviderSpec
from frith_testing import deviation
from frith_testing.store import StoreConformance


class TestMine(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        raise NotImplementedError

    @pytest.fixture
    def make_newer(self) -> Callable[[], None]:
        return lambda: None

    test_empty_changes_write_nothing = deviation("It writes a heartbeat.")

    async def test_more(self, store: SessionStore) -> None:
        assert_type((await store.load()).revision, int)
