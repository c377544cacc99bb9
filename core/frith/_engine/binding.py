"""The binding of a workspace to one store: two would each restore its sessions and diverge."""

from __future__ import annotations

from frith._engine.open_providers import Providers
from frith.errors import (
    FrithError,
    InvalidWorkspaceError,
    ProviderNotFoundError,
    StoreMismatchError,
)
from frith.logs import log
from frith.providers import Role


class StoreBinding:
    """Whether the workspace is bound to the configured store."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self.is_bound = False

    async def check(self, *, write: bool = False) -> None:
        """Check that the workspace is bound to no other store.

        Any other failure is logged; :meth:`ensure` checks again before the next commit.

        Args:
            write: whether to bind the workspace if it is bound to no store.

        Raises:
            StoreMismatchError: it is bound to another store.
        """
        try:
            await self._bind(write=write)
        except StoreMismatchError:
            raise
        except FrithError as error:
            log.warning("store_not_bound", reason=str(error))

    async def ensure(self) -> None:
        """Bind the workspace to the configured store, before that is written.

        Raises:
            StoreMismatchError: it is bound to another store.
            FrithError: the binding cannot be read or written.
        """
        try:
            await self._bind(write=True)
        except (InvalidWorkspaceError, ProviderNotFoundError) as error:
            # Without a repository no other store can restore anything from it.
            log.warning("store_not_bound", reason=str(error))

    async def _bind(self, *, write: bool) -> None:
        if self.is_bound:
            return
        async with self._providers.use(Role.STORE) as store:
            identity = store.identity
        async with self._providers.use(Role.WORKSPACE) as workspace:
            await workspace.bind_store(identity, write=write)
        self.is_bound = write
