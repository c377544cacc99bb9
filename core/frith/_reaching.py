"""The terminal of a session, from the provider that its record names, whoever runs the process."""

from __future__ import annotations

from anyio import move_on_after

from frith._parts import Parts
from frith.errors import ProviderNotFoundError, SessionNotRunningError
from frith.logs import log
from frith.model import Session, SessionId, Source
from frith.ports import SweepReport, Terminal
from frith.providers import Capability, Role


async def adopt(parts: Parts, session: Session) -> Terminal | None:
    """Return the process of ``session`` that another host has started, if it can be had.

    Only the terminal provider named in the record may know.
    """
    if not can_be_adopted(parts, session):
        return None
    async with parts.providers.use(Role.TERMINAL, session.details.terminal) as spawner:
        return await spawner.adopt(session)


def terminal(parts: Parts, session_id: SessionId) -> Terminal:
    """Return the terminal of a session whose process runs here, or ran here last of all.

    Raises:
        SessionNotRunningError: it does not, and did not.
    """
    running = parts.mine(session_id)
    found = running.terminal if running else parts.ended.get(session_id)
    if found is None:
        raise _not_running(session_id, parts.ledger.get(session_id))
    return found


async def has_ended(terminal: Terminal) -> bool:
    """Tell whether the process of ``terminal`` is known to have ended; waits for nothing."""
    with move_on_after(0):
        await terminal.exited()
        return True
    return False


async def reach(parts: Parts, session_id: SessionId, *, ended: bool) -> Terminal:
    """Return the terminal of a session, wherever its process runs.

    Args:
        parts: the manager's.
        session_id: the session.
        ended: also if it ran, as far as its output is kept.

    Raises:
        SessionNotFoundError: there is no such session.
        SessionNotRunningError: it has no process that can be reached from here.
    """
    running = parts.mine(session_id)
    if running is not None:
        return running.terminal
    await parts.ledger.refresh()
    session = await parts.ledger.need(session_id)
    found = await adopt(parts, session)
    if found is None and ended:
        found = await _recall(parts, session) or parts.ended.get(session_id)
    if found is None:
        raise _not_running(session_id, session)
    return found


def _not_running(session_id: SessionId, session: Session | None) -> SessionNotRunningError:
    if session is None:
        return SessionNotRunningError(session_id)
    return SessionNotRunningError(
        session_id, elsewhere=session.pty_pid is not None, exit_status=session.details.exit
    )


def forget_older(parts: Parts, before: Session | None, after: Session | None) -> None:
    """Forget the terminal that ended here, if another host has run the session since."""
    known = after or before
    ended = parts.ended.get(known.id) if known is not None else None
    if known is None or ended is None:
        return
    if after is None or after.details.terminal_ref not in (None, ended.ref):
        del parts.ended[known.id]
        return
    evidence = after.evidence
    has_ended = evidence is not None and evidence.source is Source.PROCESS
    if has_ended and (before is None or evidence != before.evidence):
        del parts.ended[known.id]


async def _recall(parts: Parts, session: Session) -> Terminal | None:
    if not _its_provider_can(parts, session, Capability.RECALL):
        return None
    async with parts.providers.use(Role.TERMINAL, session.details.terminal) as spawner:
        return await spawner.recall(session)


async def forget(parts: Parts, session: Session) -> None:
    """Remove what is kept of the processes that ``session`` had; a failure is only logged."""
    if not _its_provider_can(parts, session, Capability.RECALL):
        return
    try:
        async with parts.providers.use(Role.TERMINAL, session.details.terminal) as spawner:
            await spawner.forget(session.id)
    except Exception as error:
        log.warning("output_not_forgotten", session_id=session.id, reason=error)


def can_be_adopted(parts: Parts, session: Session) -> bool:
    """Tell whether the recorded process of ``session`` is one that outlives its host."""
    if session.details.terminal_ref is None:
        return False
    return _its_provider_can(parts, session, Capability.ADOPT)


def _its_provider_can(parts: Parts, session: Session, capability: Capability) -> bool:
    name = session.details.terminal
    if name is None:
        return False
    try:
        return parts.providers.can(Role.TERMINAL, name, capability)
    except ProviderNotFoundError:
        return False


async def sweep(parts: Parts, session: Session) -> SweepReport:
    """End what a dead host left running for ``session``; this process must hold its claim.

    Only the terminal provider named in the record may do that.
    """
    name = session.details.terminal
    if name is None:
        return SweepReport()
    try:
        async with parts.providers.use(Role.TERMINAL, name) as spawner:
            return await spawner.sweep(session, parts.config.terminate_grace)
    except ProviderNotFoundError:
        return SweepReport(unknown=(f"terminal provider {name!r} is not installed",))
