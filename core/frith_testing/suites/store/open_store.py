"""The base of the parts of the store's suite: the store, opened."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from frith.ports import SessionStore
from frith.providers import Role
from frith_testing.harness.base import Opening, ProviderConformance


class OpenStoreConformance(ProviderConformance, suite="store"):
    """Base of the parts of the store's suite."""

    role = Role.STORE

    @pytest.fixture
    async def store(self, opening: Opening) -> AsyncIterator[SessionStore]:
        """Return the store, opened."""
        async with opening.open() as store:
            yield store
