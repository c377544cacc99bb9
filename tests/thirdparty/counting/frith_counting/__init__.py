"""Store `counting` for frith: hands everything on to another store and counts the commits.

The count lies in ``.commits`` of the workspace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

from frith import Capability, Holder, Options, ProviderContext, ProviderSpec, Role, hookimpl
from frith.model import SessionId, Snapshot
from frith.ports import Claim, Committed, SessionStore, Transaction


class CountingOptions(Options):
    """Options of the store: ``options={"store": {"counting": {…}}}``."""

    wraps: str = "json"
    """Name of the wrapped store."""


class CountingStore(SessionStore):
    """Counts in ``file`` the calls of ``inner``."""

    def __init__(self, inner: SessionStore, file: Path) -> None:
        self._inner = inner
        self._file = file

    @property
    def identity(self) -> str:
        """See :attr:`frith.ports.SessionStore.identity`."""
        return self._inner.identity

    async def load(self) -> Snapshot:
        """See :meth:`frith.ports.SessionStore.load`."""
        return await self._inner.load()

    async def transact(self, fn: Transaction) -> Committed:
        """See :meth:`frith.ports.SessionStore.transact`."""
        committed = await self._inner.transact(fn)
        # The commit is durable; a count that cannot be written is lost.
        with suppress(OSError), self._file.open("a") as file:
            file.write(f"{committed.revision}\n")
        return committed

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        """See :meth:`frith.ports.SessionStore.replace_corrupt`."""
        return await self._inner.replace_corrupt(token, snapshot)

    def claim(self, session_id: SessionId) -> AbstractAsyncContextManager[Claim]:
        """See :meth:`frith.ports.SessionStore.claim`."""
        return self._inner.claim(session_id)

    async def holder(self, session_id: SessionId) -> Holder:
        """See :meth:`frith.ports.SessionStore.holder`."""
        return await self._inner.holder(session_id)


@asynccontextmanager
async def open_store(
    options: CountingOptions, context: ProviderContext
) -> AsyncIterator[SessionStore]:
    """Open the store that ``options`` name, and count its calls."""
    async with context.open(Role.STORE, options.wraps) as inner:
        yield CountingStore(inner, context.workspace / ".commits")


@hookimpl
def frith_providers() -> list[ProviderSpec]:
    """Offer the store."""
    capabilities = frozenset({Capability.FILE_BACKED, Capability.MULTI_PROCESS, Capability.REPAIR})
    return [ProviderSpec(Role.STORE, "counting", open_store, CountingOptions, capabilities)]
