"""A plugin of frith that offers a store under a name that another distribution uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from frith import Options, ProviderContext, ProviderSpec, Role, hookimpl
from frith.ports import SessionStore


@asynccontextmanager
async def open_store(_: Options, context: ProviderContext) -> AsyncIterator[SessionStore]:
    """Open a store that must not be chosen by load order."""
    async with context.open(Role.STORE, "json") as store:
        yield store


@hookimpl
def frith_providers() -> list[ProviderSpec]:
    """Offer a store with the name of another one."""
    return [ProviderSpec(Role.STORE, "sqlite", open_store)]
