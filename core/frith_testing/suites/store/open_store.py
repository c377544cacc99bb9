"""The base class of the promises of stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from frith.model import Changes
from frith.ports import SessionStore
from frith.providers import Role
from frith_testing.harness.base import Opening, ProviderConformance
from frith_testing.harness.samples import a_session

DETAILS_ARE_LOST = (
    "Session.details did not come back. The record, Session.to_record(), does not contain them: "
    "store session.details.model_dump(mode='json', by_alias=True) beside it."
)
"""The message for a store that keeps the records of sessions only."""


class OpenStoreConformance(ProviderConformance, suite="store"):
    """Opens the store."""

    role = Role.STORE

    @pytest.fixture
    async def store(self, opening: Opening) -> AsyncIterator[SessionStore]:
        """Return the store, opened."""
        async with opening.open() as store:
            yield store

    @pytest.fixture
    def operate(self) -> Callable[[SessionStore], Awaitable[None]]:
        """Return a function that calls the operations of an opened store."""

        async def operate(store: SessionStore) -> None:
            session = a_session()
            await store.load()
            async with store.claim(session.id):
                await store.transact(lambda _: Changes(put=(session,)))
                await store.holder(session.id)
                await store.holder_info(session.id)

        return operate
