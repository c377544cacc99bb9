"""Reading the changes of all sessions, whoever makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from frith._engine.context import Engine
from frith._engine.readers import Reader
from frith.changes import Cursor
from frith.providers import Role


@asynccontextmanager
async def read_changes(engine: Engine, since: Cursor | None) -> AsyncIterator[Reader]:
    """Yield a reader; see :meth:`frith.SessionManager.changes`."""
    engine.follow()
    await engine.call(_refresh)
    async with engine.providers.use(Role.STORE) as store:
        identity = store.identity
    ledger = engine.ledger
    reader = ledger.readers.open(identity, ledger.all(), since)
    try:
        yield reader
    finally:
        ledger.readers.close(reader)


async def _refresh(engine: Engine) -> None:
    await engine.ledger.refresh()
