"""``new``, ``resume``, ``restart`` and ``attach``: start a session's process, or attach to it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from typing import Any

import anyio
import click

from frith import FrithError, Session, SessionManager, SessionStatus, Size
from frith.errors import SessionNotFoundError
from frith.naming import LONGEST, check_name
from frith_cli.attach import client
from frith_cli.attach.keys import key_name
from frith_cli.attach.shown_in_itself import ShownInItselfError
from frith_cli.attach.tty import NotATerminalError, window_size
from frith_cli.config import settings_of
from frith_cli.console import note, progress, write, write_json
from frith_cli.context import PROCESS_FAILED, REFUSED, App
from frith_cli.opening import opened
from frith_cli.sessions import called, is_valid, oldest_first, reachable, select, view
from frith_cli.workspace import SESSION_ID

_TYPED = (signal.SIGINT, signal.SIGQUIT)
"""Signals by which a user ends a process: Ctrl-C and Ctrl-\\."""
_SECONDS_TO_RECORD = 10.0
"""How long the owner of a session may take to record how its process ended."""


async def new(
    app: App,
    *,
    name: str | None,
    branch: str | None,
    no_attach: bool,
    detached: bool,
    **options: Any,
) -> int:
    """Create a session. Unless ``detached`` or ``no_attach``, attach to it until it ends."""
    if no_attach and detached:
        raise click.UsageError(
            "--detach and --no-attach exclude each other: only --detach starts a process."
        )
    if app.as_json and not (no_attach or detached):
        raise click.UsageError(
            "--json needs --detach or --no-attach: the process writes to stdout."
        )
    if options["share"] and not options["existing"]:
        raise click.UsageError("--share needs --existing: a new branch has no worktree to share.")
    name, branch = _named(name, branch)
    attached = not (no_attach or detached)
    if not no_attach:
        _check_place(app, attached=attached)
    async with opened(app) as manager:
        with progress("Creating the session"):
            session = await manager.create_session(
                name, branch, start=not no_attach, size=_size(), **options
            )
        if attached:
            return await _stay(app, manager, session, fresh=True)
        created = await view(manager, session)
    if app.as_json:
        write_json(created.to_json())
    else:
        note(f"Created {session.name} on {session.branch} at {session.worktree_path}.")
        write(session.id)
    return 0


def _named(name: str | None, branch: str | None) -> tuple[str | None, str | None]:
    """Return the name and the branch of the new session.

    A name that only a branch can have is taken as the branch, and the session's name is made from
    it: ``fix/login_form`` gives the session ``fix-login-form``.

    Raises:
        InvalidNameError: neither can have this name.
    """
    if not name or is_valid(name):
        return name, branch
    if branch is None and any(each in name for each in "/_."):
        return check_name(re.sub(r"[/_.]+", "-", name)[:LONGEST].strip("-") or name), name
    return check_name(name), branch


async def resume(
    app: App, *, given: str | None, every: bool, command: Sequence[str] | None, detached: bool
) -> int:
    """Start the process of the session named ``given`` again, or of ``every`` interrupted one."""
    if every:
        if given or command:
            raise click.UsageError("--all takes neither a session nor a command.")
        return await _resume_all(app)
    if given is None:
        raise click.UsageError("Name a session, or give --all.")
    return await _resume(app, given, command, detached=detached)


async def restart(app: App, *, given: str, command: Sequence[str] | None, detached: bool) -> int:
    """End the process of the session named ``given``, and start it again."""
    return await _resume(app, given, command, detached=detached, stop=True)


async def _resume(
    app: App, given: str, command: Sequence[str] | None, *, detached: bool, stop: bool = False
) -> int:
    _check_place(app, attached=not detached)
    async with opened(app) as manager:
        chosen = select(manager.get_all_sessions(), given)
        with progress(f"{'Restarting' if stop else 'Starting'} {chosen.name}"):
            if stop:
                await manager.stop_session(chosen.id)
            session = await manager.resume_session(chosen.id, command=command, size=_size())
        if not detached:
            return await _stay(app, manager, session, fresh=True)
        name = called(manager.get_all_sessions(), session)
    note(f"{session.name} is running. `frith attach {name}` shows it.")
    return 0


async def _resume_all(app: App) -> int:
    """Start the last command of each session that was interrupted, and print failures.

    Such a session is idle, or its process was killed by a signal that no key sends.
    """
    _check_place(app, attached=False)
    code = 0
    async with opened(app) as manager:
        interrupted = [each for each in oldest_first(manager) if _was_interrupted(each)]
        if not interrupted:
            note("Nothing to start: no session is idle, and none was killed. See `frith ls`.")
        for session in interrupted:
            try:
                with progress(f"Starting {session.name}"):
                    await manager.resume_session(session.id, size=_size())
                note(f"{session.name} is running.")
            except FrithError as error:
                note(f"{session.name}: {error} [{error.code}]")
                code = REFUSED
    return code


def _was_interrupted(session: Session) -> bool:
    how = session.details.exit
    killed = how is not None and how.signal not in (None, *_TYPED)
    killed = killed and session.status is SessionStatus.ERROR
    return session.pty_pid is None and (killed or session.status is SessionStatus.IDLE)


async def attach(app: App, *, given: str, read_only: bool) -> int:
    """Attach this terminal to the session named ``given``, whichever host runs it.

    Raises:
        ShownInItselfError: this terminal is shown in that session.
    """
    _check_place(app, attached=True)
    async with opened(app) as manager:
        chosen = select(manager.get_all_sessions(), given)
        if os.environ.get(SESSION_ID) == chosen.id:
            raise ShownInItselfError(chosen, by_variable=True)
        return await _stay(app, manager, chosen, read_only=read_only)


async def _stay(
    app: App,
    manager: SessionManager,
    session: Session,
    *,
    fresh: bool = False,
    read_only: bool = False,
) -> int:
    """Stay attached to a session until either ends, and print how."""
    key = settings_of(app).detach_key
    # A short process may have ended since: its output is shown, and how it ended.
    async with (
        reachable(manager, session),
        manager.view(
            session.id, None, window_size(1), read_only=read_only, ended=fresh, scrollback=fresh
        ) as shown,
    ):
        note(f"{session.name} on {session.branch}; {key_name(key)} detaches.")
        ended = await client.attach(shown, session, detach_key=key, read_only=read_only)
        if ended is not None and ended.exit is None:
            with anyio.move_on_after(_SECONDS_TO_RECORD):
                await shown.terminal.exited()  # raises why it cannot be known
    name = called(manager.get_all_sessions(), session)
    if ended is None:
        note(f"Detached from {session.name}. {_next(session, name)}")
        return 0
    how = f"ended with {ended.exit}" if ended.exit else "ended"
    recorded = await _recorded(manager, session)
    if recorded is None:
        note(f"{session.name} {how}, and was destroyed.")
        return 0
    status = recorded.status
    note(f"{session.name} {how}: {status}. {_next(recorded, name)}")
    return PROCESS_FAILED if status is SessionStatus.ERROR else 0


async def _recorded(manager: SessionManager, session: Session) -> Session | None:
    """Return the session once the end of its process is recorded; ``None`` if it was destroyed."""
    with anyio.move_on_after(_SECONDS_TO_RECORD):
        try:
            return await manager.wait_ended(session.id)
        except SessionNotFoundError:
            return None
    return manager.get_session(session.id)


def _next(session: Session, name: str) -> str:
    if session.pty_pid is not None and not client.ends_with_its_host(session.details.terminal):
        return f"`frith attach {name}` shows its process, which is still running."
    return f"`frith resume {name}` starts it again."


def _check_place(app: App, *, attached: bool) -> None:
    """Refuse to start or show a process that this command could neither show nor leave.

    Raises:
        NotATerminalError: there is no terminal to attach.
        UsageError: not attached, and the terminal provider does not keep processes.
    """
    if attached:
        if not (os.isatty(0) and os.isatty(1)):
            raise NotATerminalError
    elif client.ends_with_its_host(terminal := settings_of(app).config.terminal):
        raise click.UsageError(
            f"Processes of the terminal {terminal!r} end with this command: stay attached, "
            "or use a different one with `--set terminal=keeper`."
        )


def _size() -> Size:
    return window_size(1) or Size()
