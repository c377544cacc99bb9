"""The store `counting` does what spinney asks of a store, over the store that it wraps."""

from __future__ import annotations

import pytest
import spinney_counting

from spinney import ProviderSpec
from spinney_testing.store import StoreConformance


class TestCountingStore(StoreConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        return spinney_counting.spinney_providers()[0]
