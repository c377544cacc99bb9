"""What has a process: ``new``, ``resume``, ``restart``, ``attach``, ``stop``."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from frith import FrithError, Session, SessionManager, SessionStatus, Size
from frith.model import ExitStatus
from frith.naming import LONGEST, check_name
from frith_cli._app import PROCESS_FAILED, REFUSED, App, Interrupted
from frith_cli._attach import AttachOutcome, attach, ends_with_its_host, key_name
from frith_cli._console import note, progress, write, write_json
from frith_cli._following import News, wait_recorded
from frith_cli._guard import Guard, drive
from frith_cli._loops import ShownInItselfError
from frith_cli._opening import opened, settings_of
from frith_cli._reaching import terminal_of
from frith_cli._select import called, is_plain, select
from frith_cli._tty import NotATerminalError, window_size
from frith_cli._view import View, view
from frith_cli._workspace import SESSION_ID

_TYPED = (signal.SIGINT, signal.SIGQUIT)
"""Signals by which a user ends a process: Ctrl-C and Ctrl-\\."""
_Start = Callable[[SessionManager], Awaitable[Session]]


def new(app: App, *, start: bool, detached: bool, **options: Any) -> int:
    """Create a session; attached to it, return once that ends, else at once."""
    name, branch = _named(options.pop("name"), options.pop("branch"))

    async def create(manager: SessionManager) -> Session:
        size = _size()
        with progress("Creating the session"):
            return await manager.create_session(name, branch, start=start, size=size, **options)

    if start and not detached:
        return _attached(app, create, fresh=True)
    created = _left(app, create) if start else _done(app, create)
    if app.as_json:
        write_json(created.to_json())
    else:
        session = created.session
        note(f"Created {session.name} on {session.branch} at {session.worktree_path}.")
        write(session.id)
    return 0


def _named(name: str | None, branch: str | None) -> tuple[str | None, str | None]:
    """Return the name and the branch of the session to be.

    A name that can only be a branch's is taken as that, and the session's name is made from it:
    ``fix/login_form`` gives the session ``fix-login-form``.

    Raises:
        InvalidNameError: it can be neither.
    """
    if not name or is_plain(name):
        return name, branch
    if branch is None and any(each in name for each in "/_."):
        return check_name(re.sub(r"[/_.]+", "-", name)[:LONGEST].strip("-") or name), name
    return check_name(name), branch


def resume(app: App, given: str, *, command: Sequence[str] | None, detached: bool) -> int:
    """Start the process of the session that ``given`` names again."""

    async def start(manager: SessionManager) -> Session:
        chosen = select(manager.get_all_sessions(), given)
        with progress(f"Starting {chosen.name}"):
            return await manager.resume_session(chosen.id, command=command, size=_size())

    return _started(app, start, detached=detached)


def restart(app: App, given: str, *, command: Sequence[str] | None, detached: bool) -> int:
    """End the process of the session that ``given`` names, whoever owns it, and start it again."""

    async def start(manager: SessionManager) -> Session:
        chosen = select(manager.get_all_sessions(), given)
        with progress(f"Restarting {chosen.name}"):
            await manager.stop_session(chosen.id)
            return await manager.resume_session(chosen.id, command=command, size=_size())

    return _started(app, start, detached=detached)


def resume_all(app: App) -> int:
    """Start the recorded command of each session that was cut off; one that fails keeps no other.

    One that is idle, or whose process was killed though nobody had asked for that.
    """
    _check_outlives(app)

    async def start(guard: Guard) -> bool:
        well = True
        async with opened(app, guard) as manager:
            sessions = sorted(manager.get_all_sessions(), key=lambda each: each.created_at)
            cut_off = [session for session in sessions if _is_cut_off(session)]
            if not cut_off:
                note("Nothing to start: no session is idle, and none was killed. See `frith ls`.")
            for session in cut_off:
                try:
                    with progress(f"Starting {session.name}"):
                        await manager.resume_session(session.id, size=_size())
                    note(f"{session.name} runs.")
                except FrithError as error:
                    note(f"{session.name}: {error} [{error.code}]")
                    well = False
        return well

    return 0 if drive(start) else REFUSED


def _is_cut_off(session: Session) -> bool:
    if session.pty_pid is not None:
        return False
    how = session.details.exit
    killed = how is not None and how.signal is not None and how.signal not in _TYPED
    return session.status is SessionStatus.IDLE or (
        session.status is SessionStatus.ERROR and killed
    )


def attach_to(app: App, given: str, *, read_only: bool) -> int:
    """Attach this terminal to the session that ``given`` names, whoever runs it.

    Raises:
        ShownInItselfError: this is a terminal within that session.
    """

    async def find(manager: SessionManager) -> Session:
        chosen = select(manager.get_all_sessions(), given)
        if os.environ.get(SESSION_ID) == chosen.id:
            raise ShownInItselfError(chosen, by_variable=True)
        return chosen

    return _attached(app, find, read_only=read_only)


def stop(app: App, given: str) -> int:
    """End the process of the session that ``given`` names, whoever owns it."""

    async def end(manager: SessionManager) -> Session:
        chosen = select(manager.get_all_sessions(), given)
        with progress(f"Stopping {chosen.name}"):
            return await manager.stop_session(chosen.id)

    ended = _done(app, end, restore=False)
    if app.as_json:
        write_json(ended.to_json())
    else:
        note(f"{ended.session.name} is {ended.session.status}.")
    return 0


def _started(app: App, start: _Start, *, detached: bool) -> int:
    if not detached:
        return _attached(app, start, fresh=True)
    names: list[str] = []

    async def start_named(manager: SessionManager) -> Session:
        session = await start(manager)
        names.append(called(manager.get_all_sessions(), session))
        return session

    session = _left(app, start_named).session
    note(f"{session.name} runs. `frith attach {names[0]}` shows it.")
    return 0


def _left(app: App, start: _Start) -> View:
    """Start a session's process and leave it running.

    Raises:
        UsageError: it would end with this command.
    """
    _check_outlives(app)
    return _done(app, start)


def _check_outlives(app: App) -> None:
    terminal = settings_of(app).config.terminal
    if ends_with_its_host(terminal):
        raise click.UsageError(
            f"Processes of the terminal {terminal!r} end with this command: stay attached, "
            "or choose another with `--set terminal=keeper`."
        )


def _done(app: App, work: _Start, *, restore: bool = True) -> View:
    async def run(guard: Guard) -> View:
        async with opened(app, guard, restore=restore) as manager:
            return await view(manager, await work(manager))

    return drive(run)


@dataclass(frozen=True, slots=True)
class _End:
    """How an attachment ended."""

    session: Session
    name: str
    """What names it in a command."""
    outcome: AttachOutcome
    destroyed: bool = False


def _attached(app: App, find: _Start, *, fresh: bool = False, read_only: bool = False) -> int:
    """Stay attached to a session; say what became of it and return the exit code.

    Args:
        app: what the command was given.
        find: starts or finds the session.
        fresh: whether it starts it.
        read_only: only look.

    Raises:
        NotATerminalError: there is no terminal to attach; nothing was started.
    """
    if not (os.isatty(0) and os.isatty(1)):
        raise NotATerminalError
    key = settings_of(app).detach_key

    async def accompany(guard: Guard) -> _End:
        news = News()
        async with opened(app, guard, plugins={"cli-news": news}) as manager:
            session = await find(manager)
            terminal = await terminal_of(manager, session)
            note(f"{session.name} on {session.branch}; {key_name(key)} detaches.")
            outcome = await attach(
                terminal, session, detach_key=key, fresh=fresh, read_only=read_only
            )
            name = called(manager.get_all_sessions(), session)
            if outcome.exit is None:
                return _End(session, name, outcome)
            recorded = await wait_recorded(manager, news, session.id, terminal)
            return _End(recorded or session, name, outcome, destroyed=recorded is None)

    end = drive(accompany)
    if end.outcome.interrupted is not None:
        raise Interrupted(end.outcome.interrupted)
    if end.outcome.exit is None:
        note(f"Detached from {end.session.name}. {_next(end)}")
        return 0
    return _tell_exit(end, end.outcome.exit)


def _tell_exit(end: _End, how: ExitStatus) -> int:
    session = end.session
    if end.destroyed:
        note(f"{session.name} ended with {how}, and was destroyed.")
        return 0
    note(f"{session.name} ended with {how}: {session.status}. {_next(end)}")
    return PROCESS_FAILED if session.status is SessionStatus.ERROR else 0


def _next(end: _End) -> str:
    session = end.session
    if session.pty_pid is not None and not ends_with_its_host(session.details.terminal):
        return f"`frith attach {end.name}` shows its process, which runs on."
    return f"`frith resume {end.name}` starts it again."


def _size() -> Size:
    return window_size(1) or Size()
