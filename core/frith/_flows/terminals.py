"""The terminal of a session, from the provider that its record names, whichever host runs it."""

from __future__ import annotations

from anyio import move_on_after

from frith._engine.context import Engine
from frith.errors import ProviderNotFoundError, SessionNotRunningError
from frith.logs import log
from frith.model import Session, SessionId
from frith.ports import SweepReport, Terminal
from frith.providers import Capability, Role


def terminal(engine: Engine, session_id: SessionId) -> Terminal:
    """Return the terminal of the last process of a session that this manager ran.

    Raises:
        SessionNotRunningError: it has run none.
    """
    process = engine.processes.owned(session_id)
    found = process.terminal if process else engine.processes.ended.get(session_id)
    if found is None:
        raise _not_running(session_id, engine.ledger.get(session_id))
    return found


async def open_terminal(engine: Engine, session_id: SessionId, ended: bool) -> Terminal:
    """Return the terminal of a session; see :meth:`frith.SessionManager.open_terminal`."""
    process = engine.processes.owned(session_id)
    if process is not None:
        return process.terminal
    await engine.ledger.refresh()
    session = await engine.ledger.need(session_id)
    found = await adopt(engine, session)
    if found is None and ended:
        found = await _recall(engine, session) or engine.processes.ended.get(session_id)
    if found is None:
        raise _not_running(session_id, session)
    return found


def _not_running(session_id: SessionId, session: Session | None) -> SessionNotRunningError:
    if session is None:
        return SessionNotRunningError(session_id)
    return SessionNotRunningError(
        session_id, elsewhere=session.pty_pid is not None, exit_status=session.details.exit
    )


async def has_ended(terminal: Terminal) -> bool:
    """Tell, without waiting, whether the process of ``terminal`` is known to have ended."""
    with move_on_after(0):
        await terminal.exited()
        return True
    return False


async def adopt(engine: Engine, session: Session) -> Terminal | None:
    """Return the process of ``session`` that another host has started, if there is one to adopt."""
    if session.details.terminal_ref is None or not _can(engine, session, Capability.ADOPT):
        return None
    async with engine.providers.use(Role.TERMINAL, session.details.terminal) as spawner:
        return await spawner.adopt(session)


async def _recall(engine: Engine, session: Session) -> Terminal | None:
    if not _can(engine, session, Capability.RECALL):
        return None
    async with engine.providers.use(Role.TERMINAL, session.details.terminal) as spawner:
        return await spawner.recall(session)


async def forget_output(engine: Engine, session: Session) -> None:
    """Remove the output that is kept of ended processes of ``session``; log a failure."""
    if not _can(engine, session, Capability.RECALL):
        return
    try:
        async with engine.providers.use(Role.TERMINAL, session.details.terminal) as spawner:
            await spawner.forget(session.id)
    except Exception as error:
        log.warning("output_not_forgotten", session_id=session.id, reason=error)


def _can(engine: Engine, session: Session, capability: Capability) -> bool:
    name = session.details.terminal
    if name is None:
        return False
    try:
        return engine.providers.can(Role.TERMINAL, name, capability)
    except ProviderNotFoundError:
        return False


async def sweep(engine: Engine, session: Session) -> SweepReport:
    """End what a dead host left running for ``session``; the caller must hold its claim."""
    name = session.details.terminal
    if name is None:
        return SweepReport()
    try:
        async with engine.providers.use(Role.TERMINAL, name) as spawner:
            return await spawner.sweep(session, engine.config.terminate_grace)
    except ProviderNotFoundError:
        return SweepReport(unknown=(f"terminal provider {name!r} is not installed",))
