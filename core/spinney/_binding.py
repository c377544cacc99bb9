"""A workspace has one store: two would each restore its sessions, and disagree from then on."""

from __future__ import annotations

from spinney._parts import Parts
from spinney.errors import SpinneyError, StoreMismatchError
from spinney.logs import log
from spinney.providers import Role


async def bind(parts: Parts, *, write: bool) -> None:
    """See that the workspace is bound to the configured store, or to none yet.

    Args:
        parts: the manager's.
        write: whether to bind it if it is bound to none.

    Raises:
        StoreMismatchError: it is bound to another store.
    """
    if parts.is_bound:
        return
    async with parts.providers.use(Role.STORE) as store:
        identity = store.identity
    try:
        async with parts.providers.use(Role.WORKSPACE) as workspace:
            await workspace.bind_store(identity, write=write)
    except StoreMismatchError:
        raise
    except SpinneyError as error:
        log.warning("store_not_bound", reason=str(error))
        return
    parts.is_bound = write
