"""``new``, ``resume``, ``restart`` and ``attach``: start a session's process, or attach to it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Awaitable, Callable, Sequence
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
from frith_cli.opening import with_manager
from frith_cli.sessions import View, called, is_valid, oldest_first, select, terminal_of, view
from frith_cli.workspace import SESSION_ID

_TYPED = (signal.SIGINT, signal.SIGQUIT)
"""Signals by which a user ends a process: Ctrl-C and Ctrl-\\."""
_SECONDS_TO_RECORD = 10.0
"""How long the owner of a session may take to record how its process ended."""
_Start = Callable[[SessionManager], Awaitable[Session]]


def new(
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

    async def create(manager: SessionManager) -> Session:
        with progress("Creating the session"):
            return await manager.create_session(
                name, branch, start=not no_attach, size=_size(), **options
            )

    async def leave(manager: SessionManager) -> View:
        return await view(manager, await create(manager))

    if detached:
        _check_outlives(app)
    elif not no_attach:
        return _attached(app, create, fresh=True)
    created = with_manager(app, leave)
    if app.as_json:
        write_json(created.to_json())
    else:
        session = created.session
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


def resume(
    app: App, *, given: str | None, every: bool, command: Sequence[str] | None, detached: bool
) -> int:
    """Start the process of the session named ``given`` again, or of ``every`` interrupted one."""
    if every:
        if given or command:
            raise click.UsageError("--all takes neither a session nor a command.")
        return _resume_all(app)
    if given is None:
        raise click.UsageError("Name a session, or give --all.")
    return _resume(app, given, command, detached=detached)


def restart(app: App, *, given: str, command: Sequence[str] | None, detached: bool) -> int:
    """End the process of the session named ``given``, and start it again."""
    return _resume(app, given, command, detached=detached, stop=True)


def _resume(
    app: App, given: str, command: Sequence[str] | None, *, detached: bool, stop: bool = False
) -> int:
    async def start(manager: SessionManager) -> Session:
        chosen = select(manager.get_all_sessions(), given)
        with progress(f"{'Restarting' if stop else 'Starting'} {chosen.name}"):
            if stop:
                await manager.stop_session(chosen.id)
            return await manager.resume_session(chosen.id, command=command, size=_size())

    async def leave(manager: SessionManager) -> None:
        session = await start(manager)
        name = called(manager.get_all_sessions(), session)
        note(f"{session.name} is running. `frith attach {name}` shows it.")

    if not detached:
        return _attached(app, start, fresh=True)
    _check_outlives(app)
    with_manager(app, leave)
    return 0


def _resume_all(app: App) -> int:
    """Start the last command of each session that was interrupted, and print failures.

    Such a session is idle, or its process was killed by a signal that no key sends.
    """
    _check_outlives(app)

    async def start(manager: SessionManager) -> int:
        code = 0
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

    return with_manager(app, start)


def _was_interrupted(session: Session) -> bool:
    if session.pty_pid is not None:
        return False
    how = session.details.exit
    killed = how is not None and how.signal not in (None, *_TYPED)
    return session.status is SessionStatus.IDLE or (
        session.status is SessionStatus.ERROR and killed
    )


def attach(app: App, *, given: str, read_only: bool) -> int:
    """Attach this terminal to the session named ``given``, whichever host runs it.

    Raises:
        ShownInItselfError: this terminal is shown in that session.
    """

    async def find(manager: SessionManager) -> Session:
        chosen = select(manager.get_all_sessions(), given)
        if os.environ.get(SESSION_ID) == chosen.id:
            raise ShownInItselfError(chosen, by_variable=True)
        return chosen

    return _attached(app, find, read_only=read_only)


def _attached(app: App, find: _Start, *, fresh: bool = False, read_only: bool = False) -> int:
    """Start or find a session, stay attached to it, and print how that ended.

    Raises:
        NotATerminalError: there is no terminal to attach; nothing was started.
    """
    if not (os.isatty(0) and os.isatty(1)):
        raise NotATerminalError
    key = settings_of(app).detach_key

    async def stay(manager: SessionManager) -> int:
        session = await find(manager)
        # A short process may have ended since: its output is shown, and how it ended.
        terminal = await terminal_of(manager, session, ended=fresh)
        note(f"{session.name} on {session.branch}; {key_name(key)} detaches.")
        exit_status = await client.attach(
            terminal, session, detach_key=key, fresh=fresh, read_only=read_only
        )
        name = called(manager.get_all_sessions(), session)
        if exit_status is None:
            note(f"Detached from {session.name}. {_next(session, name)}")
            return 0
        recorded = await _recorded(manager, session)
        if recorded is None:
            note(f"{session.name} ended with {exit_status}, and was destroyed.")
            return 0
        status = recorded.status
        note(f"{session.name} ended with {exit_status}: {status}. {_next(recorded, name)}")
        return PROCESS_FAILED if status is SessionStatus.ERROR else 0

    return with_manager(app, stay)


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


def _check_outlives(app: App) -> None:
    """Refuse to start a process that would end with this command.

    Raises:
        UsageError: the terminal provider does not keep processes.
    """
    terminal = settings_of(app).config.terminal
    if client.ends_with_its_host(terminal):
        raise click.UsageError(
            f"Processes of the terminal {terminal!r} end with this command: stay attached, "
            "or use a different one with `--set terminal=keeper`."
        )


def _size() -> Size:
    return window_size(1) or Size()
