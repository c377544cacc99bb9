"""What a session says of itself: ``report``."""

from __future__ import annotations

import os

import click

from spinney import SessionStatus
from spinney_cli._app import App
from spinney_cli._guard import Guard, drive
from spinney_cli._opening import opened
from spinney_cli._select import select

VARIABLE = "SPINNEY_SESSION_ID"
"""Environment variable by which a process within a session finds it."""


def report(app: App, status: str, given: str | None, message: str | None) -> int:
    """Record the status of the session that ``given`` names, else of the one around us.

    Raises:
        UsageError: there is none around us.
    """
    named = given or os.environ.get(VARIABLE)
    if not named:
        raise click.UsageError(f"Not within a session ({VARIABLE} is not set): name one.")

    async def say(guard: Guard) -> None:
        async with opened(app, guard, restore=False) as manager:
            session = select(manager.get_all_sessions(), named)
            await manager.update_session_status(session.id, SessionStatus(status), message=message)

    drive(say)
    return 0
