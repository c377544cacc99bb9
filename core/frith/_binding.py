"""A workspace has one store: two would each restore its sessions, and disagree from then on."""

from __future__ import annotations

from frith._parts import Parts
from frith.errors import (
    FrithError,
    InvalidWorkspaceError,
    ProviderNotFoundError,
    StoreMismatchError,
)
from frith.logs import log
from frith.providers import Role


async def check_bound(parts: Parts, *, write: bool = False) -> None:
    """See that the workspace is bound to no other store than the configured one.

    Where that cannot be told it is logged; before the next commit it is looked at again.

    Args:
        parts: the manager's.
        write: whether to bind it if it is bound to none.

    Raises:
        StoreMismatchError: it is bound to another store.
    """
    try:
        await _bind(parts, write=write)
    except StoreMismatchError:
        raise
    except FrithError as error:
        log.warning("store_not_bound", reason=str(error))


async def bind(parts: Parts) -> None:
    """Bind the workspace to the configured store, before that is written.

    Raises:
        StoreMismatchError: it is bound to another store.
        FrithError: that cannot be told, or not be written.
    """
    try:
        await _bind(parts, write=True)
    except (InvalidWorkspaceError, ProviderNotFoundError) as error:
        # Without a repository no other store can restore anything from it.
        log.warning("store_not_bound", reason=str(error))


async def _bind(parts: Parts, *, write: bool) -> None:
    if parts.is_bound:
        return
    async with parts.providers.use(Role.STORE) as store:
        identity = store.identity
    async with parts.providers.use(Role.WORKSPACE) as workspace:
        await workspace.bind_store(identity, write=write)
    parts.is_bound = write
