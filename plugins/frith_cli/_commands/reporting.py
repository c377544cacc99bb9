"""What a session says of itself: ``report``."""

from __future__ import annotations

import os

import click

from frith import SessionStatus
from frith.errors import SessionNotRunningError
from frith_cli._app import App
from frith_cli._guard import Guard, drive
from frith_cli._opening import opened
from frith_cli._select import select
from frith_cli._workspace import SESSION_ID

_OF_PROCESSES = (SessionStatus.ACTIVE, SessionStatus.WAITING)


def report(app: App, status: str, given: str | None, message: str | None) -> int:
    """Record the status of the session that ``given`` names, else of the one around us.

    Raises:
        UsageError: there is none around us.
        SessionNotRunningError: no process runs in it that could be so.
    """
    named = given or os.environ.get(SESSION_ID)
    if not named:
        raise click.UsageError(f"Not within a session ({SESSION_ID} is not set): name one.")

    async def say(guard: Guard) -> None:
        async with opened(app, guard, restore=False) as manager:
            session = select(manager.get_all_sessions(), named)
            wanted = SessionStatus(status)
            if wanted in _OF_PROCESSES and session.pty_pid is None:
                error = SessionNotRunningError(session.id, exit_status=session.details.exit)
                error.session_name = session.name
                raise error
            await manager.update_session_status(session.id, wanted, message=message)

    drive(say)
    return 0
