"""A workspace has one store: two would each restore its sessions, and disagree from then on."""

from __future__ import annotations

from frith._engine.context import Engine
from frith.errors import (
    FrithError,
    InvalidWorkspaceError,
    ProviderNotFoundError,
    StoreMismatchError,
)
from frith.logs import log
from frith.providers import Role


async def check_bound(engine: Engine, *, write: bool = False) -> None:
    """See that the workspace is bound to no other store than the configured one.

    Where that cannot be told it is logged; before the next commit it is looked at again.

    Args:
        engine: the manager's.
        write: whether to bind it if it is bound to none.

    Raises:
        StoreMismatchError: it is bound to another store.
    """
    try:
        await _bind(engine, write=write)
    except StoreMismatchError:
        raise
    except FrithError as error:
        log.warning("store_not_bound", reason=str(error))


async def bind(engine: Engine) -> None:
    """Bind the workspace to the configured store, before that is written.

    Raises:
        StoreMismatchError: it is bound to another store.
        FrithError: that cannot be told, or not be written.
    """
    try:
        await _bind(engine, write=True)
    except (InvalidWorkspaceError, ProviderNotFoundError) as error:
        # Without a repository no other store can restore anything from it.
        log.warning("store_not_bound", reason=str(error))


async def _bind(engine: Engine, *, write: bool) -> None:
    if engine.is_bound:
        return
    async with engine.providers.use(Role.STORE) as store:
        identity = store.identity
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        await workspace.bind_store(identity, write=write)
    engine.is_bound = write
