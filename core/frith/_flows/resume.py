"""Starting a new process for a session that has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

from frith._engine.context import Engine
from frith._engine.processes import RunningProcess, has_process
from frith._flows.terminals import (
    adopt,
    command_for,
    end_spawned,
    forget_output,
    has_ended,
    spawn,
    sweep,
    with_process,
)
from frith.errors import (
    CommitOutcomeUnknownError,
    SessionOwnedError,
    SessionRunningError,
    WorktreeMissingError,
    WorktreeRedirectedError,
)
from frith.model import Session, SessionId
from frith.ports import MarkerState, Presence, Size
from frith.providers import Role


async def resume(
    engine: Engine,
    session_id: SessionId,
    command: Sequence[str] | None,
    env: Mapping[str, str] | None,
    size: Size,
) -> Session:
    """Start a process for a session; see :meth:`frith.SessionManager.resume_session`."""
    async with engine.exclusive(session_id), AsyncExitStack() as undo:
        session = await engine.ledger.need(session_id)
        if engine.processes.owned(session_id):
            raise SessionRunningError(session_id)
        argv = command_for(engine, command, session.details.command)
        claim = await engine.claims.take(session_id)
        undo.push_async_callback(engine.claims.give_back, claim)
        before = await _prepare(engine, session_id)
        claim.check()
        terminal = await spawn(engine, before.detail(command=argv), env, size)
        undo.push_async_callback(end_spawned, engine, claim, before, terminal)

        def started(current: Session) -> Session:
            return with_process(engine, current.detail(command=argv), terminal)

        await checkpoint_if_cancelled()
        with CancelScope(shield=True):
            try:
                session = await engine.ledger.amend(session_id, started, claim=claim)
            except CommitOutcomeUnknownError:
                # It may be recorded: the process stays, and the record is written soon.
                engine.ledger.defer(session_id, "process", started, claim=claim)
                undo.pop_all()
                RunningProcess(engine, claim, terminal).watch()
                raise
            undo.pop_all()
            RunningProcess(engine, claim, terminal).watch()
            await engine.markers.write(session, MarkerState.LIVE)
        if before.details.terminal != session.details.terminal:
            await forget_output(engine, before)
    await engine.announce_status(before, session)
    return session


async def _prepare(engine: Engine, session_id: SessionId) -> Session:
    """Return the session as stored, once no process of it is left and its worktree is there."""
    await engine.ledger.refresh()
    session = await engine.ledger.need(session_id)
    if session.details.removing:
        raise SessionOwnedError(session_id)
    if has_process(session):
        if await _lives(engine, session):
            raise SessionRunningError(session_id)
        await sweep(engine, session)
    await _ensure_worktree(engine, session)
    return session


async def _lives(engine: Engine, session: Session) -> bool:
    """Adopt a process that has outlived its host; return whether there is one that still runs."""
    terminal = await adopt(engine, session)
    return terminal is not None and not await has_ended(terminal)


async def _ensure_worktree(engine: Engine, session: Session) -> None:
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        location = (await workspace.locate([session]))[session.id]
        if location.presence is Presence.MISSING:
            with CancelScope(shield=True):
                await workspace.restore(session)
            location = (await workspace.locate([session]))[session.id]
        if location.presence is Presence.REDIRECTED:
            raise WorktreeRedirectedError(session.worktree_path, location.reason)
        if location.presence is not Presence.PRESENT:
            reason = (
                f"it was moved to {location.path!r}. Repair the workspace first."
                if location.presence is Presence.MOVED
                else "it is unknown whether it is there. Check the file system."
            )
            raise WorktreeMissingError(session.worktree_path, reason)
