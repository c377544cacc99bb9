"""The base of the parts of the store's suite: the store, opened."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from frith.ports import SessionStore
from frith.providers import Role
from frith_testing.harness.base import Opening, ProviderConformance

DETAILS_ARE_LOST = (
    "Session.details did not come back. The record, Session.to_record(), does not contain them: "
    "store session.details.model_dump(mode='json', by_alias=True) beside it."
)
"""What is said of a store that keeps the records of sessions and nothing else."""


class OpenStoreConformance(ProviderConformance, suite="store"):
    """Base of the parts of the store's suite."""

    role = Role.STORE

    @pytest.fixture
    async def store(self, opening: Opening) -> AsyncIterator[SessionStore]:
        """Return the store, opened."""
        async with opening.open() as store:
            yield store
