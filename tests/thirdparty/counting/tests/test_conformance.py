"""The store `counting` does what frith asks of a store, over the store that it wraps."""

from __future__ import annotations

import frith_counting
import pytest

from frith import ProviderSpec
from frith_testing.store import StoreConformance


class TestCountingStore(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return frith_counting.frith_providers()[0]
