"""The terminal of a session, from the provider that its record names, whoever runs the process."""

from __future__ import annotations

from anyio import move_on_after

from frith._engine.context import Engine
from frith.errors import ProviderNotFoundError, SessionNotRunningError
from frith.logs import log
from frith.model import Session, SessionId, Source
from frith.ports import SweepReport, Terminal
from frith.providers import Capability, Role


async def adopt(engine: Engine, session: Session) -> Terminal | None:
    """Return the process of ``session`` that another host has started, if it can be had.

    Only the terminal provider named in the record may know.
    """
    if not can_be_adopted(engine, session):
        return None
    async with engine.providers.use(Role.TERMINAL, session.details.terminal) as spawner:
        return await spawner.adopt(session)


def terminal(engine: Engine, session_id: SessionId) -> Terminal:
    """Return the terminal of a session whose process runs here, or ran here last of all.

    Raises:
        SessionNotRunningError: it does not, and did not.
    """
    running = engine.mine(session_id)
    found = running.terminal if running else engine.ended.get(session_id)
    if found is None:
        raise _not_running(session_id, engine.ledger.get(session_id))
    return found


async def has_ended(terminal: Terminal) -> bool:
    """Tell whether the process of ``terminal`` is known to have ended; waits for nothing."""
    with move_on_after(0):
        await terminal.exited()
        return True
    return False


async def reach(engine: Engine, session_id: SessionId, *, ended: bool) -> Terminal:
    """Return the terminal of a session, wherever its process runs.

    Args:
        engine: the manager's.
        session_id: the session.
        ended: also if it ran, as far as its output is kept.

    Raises:
        SessionNotFoundError: there is no such session.
        SessionNotRunningError: it has no process that can be reached from here.
    """
    running = engine.mine(session_id)
    if running is not None:
        return running.terminal
    await engine.ledger.refresh()
    session = await engine.ledger.need(session_id)
    found = await adopt(engine, session)
    if found is None and ended:
        found = await _recall(engine, session) or engine.ended.get(session_id)
    if found is None:
        raise _not_running(session_id, session)
    return found


def _not_running(session_id: SessionId, session: Session | None) -> SessionNotRunningError:
    if session is None:
        return SessionNotRunningError(session_id)
    return SessionNotRunningError(
        session_id, elsewhere=session.pty_pid is not None, exit_status=session.details.exit
    )


def forget_older(engine: Engine, before: Session | None, after: Session | None) -> None:
    """Forget the terminal that ended here, if another host has run the session since."""
    known = after or before
    ended = engine.ended.get(known.id) if known is not None else None
    if known is None or ended is None:
        return
    if after is None or after.details.terminal_ref not in (None, ended.ref):
        del engine.ended[known.id]
        return
    evidence = after.evidence
    has_ended = evidence is not None and evidence.source is Source.PROCESS
    if has_ended and (before is None or evidence != before.evidence):
        del engine.ended[known.id]


async def _recall(engine: Engine, session: Session) -> Terminal | None:
    if not _its_provider_can(engine, session, Capability.RECALL):
        return None
    async with engine.providers.use(Role.TERMINAL, session.details.terminal) as spawner:
        return await spawner.recall(session)


async def forget(engine: Engine, session: Session) -> None:
    """Remove what is kept of the processes that ``session`` had; a failure is only logged."""
    if not _its_provider_can(engine, session, Capability.RECALL):
        return
    try:
        async with engine.providers.use(Role.TERMINAL, session.details.terminal) as spawner:
            await spawner.forget(session.id)
    except Exception as error:
        log.warning("output_not_forgotten", session_id=session.id, reason=error)


def can_be_adopted(engine: Engine, session: Session) -> bool:
    """Tell whether the recorded process of ``session`` is one that outlives its host."""
    if session.details.terminal_ref is None:
        return False
    return _its_provider_can(engine, session, Capability.ADOPT)


def _its_provider_can(engine: Engine, session: Session, capability: Capability) -> bool:
    name = session.details.terminal
    if name is None:
        return False
    try:
        return engine.providers.can(Role.TERMINAL, name, capability)
    except ProviderNotFoundError:
        return False


async def sweep(engine: Engine, session: Session) -> SweepReport:
    """End what a dead host left running for ``session``; this process must hold its claim.

    Only the terminal provider named in the record may do that.
    """
    name = session.details.terminal
    if name is None:
        return SweepReport()
    try:
        async with engine.providers.use(Role.TERMINAL, name) as spawner:
            return await spawner.sweep(session, engine.config.terminate_grace)
    except ProviderNotFoundError:
        return SweepReport(unknown=(f"terminal provider {name!r} is not installed",))
