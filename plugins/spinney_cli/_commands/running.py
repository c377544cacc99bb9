"""What has a process: ``new``, ``resume``, ``stop``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from spinney import Session, SessionManager, SessionStatus, Size
from spinney_cli._app import PROCESS_FAILED, App, Interrupted
from spinney_cli._attach import AttachOutcome, attach, key_name
from spinney_cli._console import note, progress, write, write_json
from spinney_cli._guard import Guard, drive
from spinney_cli._opening import opened, settings_of
from spinney_cli._select import select
from spinney_cli._tty import NotATerminalError, window_size
from spinney_cli._view import View, view


def new(app: App, *, attached: bool, **options: Any) -> int:
    """Create a session; attached to it, return once that ends, else at once."""
    if attached:
        return _attached(app, lambda manager: _create(manager, size=_size(), **options))

    async def create(guard: Guard) -> View:
        async with opened(app, guard) as manager:
            return await view(manager, await _create(manager, start=False, **options))

    created = drive(create)
    if app.as_json:
        write_json(created.to_json())
    else:
        session = created.session
        note(f"Created {session.name} on {session.branch} at {session.worktree_path}.")
        write(session.id)
    return 0


def resume(app: App, *, session: str, command: Sequence[str] | None) -> int:
    """Start the process of the session that ``session`` names again, attached to it."""

    async def start(manager: SessionManager) -> Session:
        chosen = select(manager.get_all_sessions(), session)
        with progress(f"Starting {chosen.name}"):
            return await manager.resume_session(chosen.id, command=command, size=_size())

    return _attached(app, start)


def stop(app: App, given: str) -> int:
    """End the process of the session that ``given`` names, whoever owns it."""

    async def end(guard: Guard) -> View:
        async with opened(app, guard) as manager:
            chosen = select(manager.get_all_sessions(), given)
            with progress(f"Stopping {chosen.name}"):
                return await view(manager, await manager.stop_session(chosen.id))

    ended = drive(end)
    if app.as_json:
        write_json(ended.to_json())
    else:
        note(f"{ended.session.name} is {ended.session.status}.")
    return 0


async def _create(
    manager: SessionManager, *, name: str | None, branch: str | None, **options: Any
) -> Session:
    with progress("Creating the session"):
        return await manager.create_session(name, branch, **options)


def _attached(app: App, start: Callable[[SessionManager], Awaitable[Session]]) -> int:
    """Start a session and stay attached to it; say what became of it and return the exit code.

    Raises:
        NotATerminalError: there is no terminal to attach; nothing was started.
    """
    if not (os.isatty(0) and os.isatty(1)):
        raise NotATerminalError
    key = settings_of(app).detach_key

    async def accompany(guard: Guard) -> tuple[Session, AttachOutcome]:
        async with opened(app, guard) as manager:
            session = await start(manager)
            note(f"{session.name} on {session.branch}; {key_name(key)} detaches.")
            outcome = await attach(manager, session, detach_key=key, fresh=True)
            if outcome.exit is not None:
                session = await manager.wait_ended(session.id)
        return session, outcome

    session, outcome = drive(accompany)
    again = f"`spinney resume {session.id[:8]}` starts it again."
    if outcome.interrupted is not None:
        raise Interrupted(outcome.interrupted)
    if outcome.exit is None:
        note(f"Detached from {session.name}. {again}")
        return 0
    note(f"{session.name} ended with {outcome.exit}: {session.status}. {again}")
    return PROCESS_FAILED if session.status is SessionStatus.ERROR else 0


def _size() -> Size:
    return window_size(1) or Size()
