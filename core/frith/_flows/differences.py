"""What has changed in the worktrees, and which branches there are, as the workspace shows them."""

from __future__ import annotations

from collections.abc import Collection

from frith._engine.context import Engine
from frith.model import SessionId
from frith.ports import Branch, ChangedFile, Diff, DiffScope
from frith.providers import Role


async def changed_files(
    engine: Engine, session_id: SessionId, scope: DiffScope
) -> tuple[ChangedFile, ...]:
    """See :meth:`frith.SessionManager.changed_files`."""
    session = await engine.ledger.need(session_id)
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        return await workspace.changed_files(session, scope)


async def diff(
    engine: Engine, session_id: SessionId, scope: DiffScope, paths: Collection[str], limit: int
) -> Diff:
    """See :meth:`frith.SessionManager.diff`."""
    session = await engine.ledger.need(session_id)
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        return await workspace.diff(session, scope, paths=paths, limit=limit)


async def branches(engine: Engine) -> tuple[Branch, ...]:
    """See :meth:`frith.SessionManager.branches`."""
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        return await workspace.branches()
