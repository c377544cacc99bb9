"""Store `sqlite` for frith: sessions in an SQLite database of the workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import Field

from frith.config import Options
from frith.hookspecs import hookimpl
from frith.ports import SessionStore
from frith.providers import Capability, ProviderContext, ProviderSpec, Role


class SqliteOptions(Options):
    """Options of the store: ``options={"store": {"sqlite": {…}}}``."""

    directory: str = ".sessions"
    """Where the database and the locks are, relative to the workspace."""
    busy_timeout: float = Field(default=10.0, ge=0)
    """Seconds to wait for another process's transaction."""


@asynccontextmanager
async def open_store(
    options: SqliteOptions, context: ProviderContext
) -> AsyncIterator[SessionStore]:
    """Open the store of ``context.workspace``."""
    from frith_sqlite._store import SqliteStore

    directory = context.workspace / options.directory
    yield SqliteStore(directory, options.busy_timeout, context.limiter)


@hookimpl
def frith_providers() -> list[ProviderSpec]:
    """Offer the store."""
    capabilities = frozenset({Capability.FILE_BACKED, Capability.MULTI_PROCESS, Capability.REPAIR})
    return [ProviderSpec(Role.STORE, "sqlite", open_store, SqliteOptions, capabilities)]
