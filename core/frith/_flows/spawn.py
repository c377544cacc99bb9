"""Starting the process of a session, and how the record shows it."""

from __future__ import annotations

import os
import platform
import pwd
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from frith._engine.context import Engine
from frith._engine.status_watch import check_detector
from frith.errors import SpawnError
from frith.model import Owner, Session, SessionStatus, Source, now
from frith.ports import Size, SpawnRequest, Terminal
from frith.providers import Role


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
