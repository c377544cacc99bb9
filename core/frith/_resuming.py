"""The flow that gives a session without a process a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

from frith._claims import Owned
from frith._parts import Parts
from frith._reaching import adopt, forget, has_ended, sweep
from frith._running import Running, command_for, spawn, with_process
from frith.errors import (
    CommitOutcomeUnknownError,
    SessionOwnedError,
    SessionRunningError,
    WorktreeMissingError,
    WorktreeRedirectedError,
)
from frith.model import Session, SessionId
from frith.ports import MarkerState, Presence, Size
from frith.providers import Role, chosen_name


async def resume(
    parts: Parts,
    session_id: SessionId,
    command: Sequence[str] | None,
    env: Mapping[str, str] | None,
    size: Size,
) -> Session:
    """Start a process for a session; see :meth:`frith.SessionManager.resume_session`."""
    async with parts.alone(session_id):
        session = await parts.ledger.need(session_id)
        if parts.mine(session_id):
            raise SessionRunningError(session_id)
        argv = command_for(parts, command, session.details.command)
        claim = await parts.claims.take(session_id)
        try:
            before, session = await _start(parts, claim, argv, env, size)
        except BaseException:
            if not parts.mine(session_id):
                with CancelScope(shield=True):
                    await parts.claims.give_back(claim)
            raise
    await parts.announce_status(before, session)
    return session


async def _start(
    parts: Parts,
    claim: Owned,
    command: tuple[str, ...],
    env: Mapping[str, str] | None,
    size: Size,
) -> tuple[Session, Session]:
    session_id = claim.session_id
    await parts.ledger.refresh()
    before = await parts.ledger.need(session_id)
    if before.details.removing:
        raise SessionOwnedError(session_id)
    if before.pty_pid is not None or before.details.terminal_ref is not None:
        if await _lives(parts, before):
            raise SessionRunningError(session_id)
        await sweep(parts, before)
    await _ensure_worktree(parts, before)
    claim.check()
    terminal = await spawn(parts, before.detail(command=command), env, size)

    def started(current: Session) -> Session:
        return with_process(parts, current.detail(command=command), terminal)

    try:
        await checkpoint_if_cancelled()
        with CancelScope(shield=True):
            session = await parts.ledger.amend(session_id, started, claim=claim)
            Running(parts, claim, terminal).watch()
            parts.follow()
            await parts.markers.write(session, MarkerState.LIVE)
    except CommitOutcomeUnknownError:
        # It may be recorded: the process stays, and is recorded as soon as that is possible.
        parts.ledger.owe(session_id, "process", started, claim=claim)
        Running(parts, claim, terminal).watch()
        parts.follow()
        raise
    except BaseException:
        if not parts.mine(session_id):
            with CancelScope(shield=True):
                async with parts.providers.use(Role.TERMINAL):
                    await terminal.terminate(parts.config.terminate_grace)
                if not claim.is_lost:
                    await forget(
                        parts, before.detail(terminal=chosen_name(parts.config, Role.TERMINAL))
                    )
        raise
    if before.details.terminal != session.details.terminal:
        await forget(parts, before)
    return before, session


async def _lives(parts: Parts, session: Session) -> bool:
    """Tell whether a process runs on that its host has left, for the next one to adopt."""
    terminal = await adopt(parts, session)
    return terminal is not None and not await has_ended(terminal)


async def _ensure_worktree(parts: Parts, session: Session) -> None:
    async with parts.providers.use(Role.WORKSPACE) as workspace:
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
                else "it cannot be told whether it is there. Check the file system."
            )
            raise WorktreeMissingError(session.worktree_path, reason)
