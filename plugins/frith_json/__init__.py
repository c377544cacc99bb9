"""The store ``json``: all sessions of a workspace in one readable, atomically written file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from frith.hookspecs import hookimpl
from frith.ports import SessionStore
from frith.providers import Capability, ProviderContext, ProviderSpec, Role
from frith_json.options import CAN_WATCH, JsonOptions

__all__ = ["JsonOptions", "frith_providers"]

_CAPABILITIES = frozenset(
    {Capability.REPAIR, Capability.MULTI_PROCESS, Capability.FILE_BACKED, Capability.CHECKSUMMED}
    | ({Capability.WATCH} if CAN_WATCH else set())
)


@asynccontextmanager
async def _open(options: JsonOptions, context: ProviderContext) -> AsyncIterator[SessionStore]:
    from frith_json.store import JsonStore

    async with JsonStore.opened(context.workspace, options) as store:
        yield store


@hookimpl
def frith_providers() -> Iterable[ProviderSpec]:
    """Offer the store ``json``."""
    return [ProviderSpec(Role.STORE, "json", _open, JsonOptions, _CAPABILITIES)]
