"""The process of a session in its terminal: starting, reaching and sweeping it.

A process that is there already is reached through the provider that its record names.
"""

from __future__ import annotations

import os
import platform
import pwd
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from anyio import CancelScope, move_on_after

from frith._engine.claims import HeldClaim
from frith._engine.context import Engine
from frith._engine.status_watch import check_detector
from frith.errors import ProviderNotFoundError, SessionNotRunningError, SpawnError
from frith.logs import log
from frith.model import Owner, Session, SessionId, SessionStatus, Source, now
from frith.ports import Size, SpawnRequest, SweepReport, Terminal
from frith.providers import Capability, Role


def command_for(
    engine: Engine, given: Sequence[str] | None, recorded: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return what to run: as given, else as recorded, else as configured, else the login shell.

    Raises:
        SpawnError: the command given is empty.
    """
    if given is not None:
        if not given:
            raise SpawnError((), "the command is empty")
        return tuple(given)
    return tuple(recorded or engine.config.command or (_login_shell(),))


def _login_shell() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    except KeyError:  # in a container the user may have no entry
        return "/bin/sh"


async def spawn(
    engine: Engine, session: Session, env: Mapping[str, str] | None, size: Size
) -> Terminal:
    """Start the recorded command of ``session`` in its worktree.

    Raises:
        SpawnError: it cannot be started.
        PluginError: the status provider is missing, doubled or broken.
    """
    await check_detector(engine)
    request = SpawnRequest(
        session_id=session.id,
        command=session.details.command or (),
        cwd=session.worktree_path,
        workspace=engine.workspace,
        env=dict(env or {}),
        size=size,
    )
    async with engine.providers.use(Role.TERMINAL) as spawner:
        return await spawner.spawn(request)


async def end_spawned(
    engine: Engine, claim: HeldClaim, session: Session, terminal: Terminal
) -> None:
    """Undo :func:`spawn`."""
    with CancelScope(shield=True):
        async with engine.providers.use(Role.TERMINAL):
            await terminal.terminate(engine.config.terminate_grace)
        if not claim.is_lost:  # else another host may run the session by now
            await forget_output(engine, session.detail(terminal=engine.config.terminal))


def with_process(engine: Engine, session: Session, terminal: Terminal) -> Session:
    """Return ``session`` as it is while ``terminal`` runs its process."""
    running = session.evolve(pty_pid=terminal.pid, last_activity=now())
    return running.conclude(SessionStatus.ACTIVE, Source.PROCESS).detail(
        terminal=engine.config.terminal,
        terminal_ref=dict(terminal.ref),
        owner=this_process(),
        desired=None,
        exit=None,
        command=session.details.command,
    )


def this_process() -> Owner:
    """Return the identity of this process, which a record keeps for diagnosis only."""
    return _identity_of(os.getpid())


@cache
def _identity_of(pid: int) -> Owner:
    return Owner(
        pid=pid, start_time=_start_time(), boot_id=_boot_id(), host=platform.node() or None
    )


def _start_time() -> str | None:
    """Field 22 of ``/proc/self/stat``, see proc(5); the second may hold spaces and brackets."""
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def terminal(engine: Engine, session_id: SessionId) -> Terminal:
    """Return the terminal of the last process of a session that this manager ran.

    Raises:
        SessionNotRunningError: it has run none.
    """
    process = engine.processes.owned(session_id)
    found = process.terminal if process else engine.processes.ended(session_id)
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
        found = await _recall(engine, session) or engine.processes.ended(session_id)
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
