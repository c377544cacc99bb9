"""``ls``, ``show``, ``plugins``, and the completion of sessions."""

from __future__ import annotations

from dataclasses import asdict

import click

from frith import SessionManager, installed_plugins
from frith_cli.commands import status
from frith_cli.config import settings_of
from frith_cli.console import note, write_json, write_table
from frith_cli.context import App
from frith_cli.extensions import Commands
from frith_cli.opening import opened, with_manager
from frith_cli.sessions import COLUMNS, OPTIONAL, called, select, view, views_of


async def ls(app: App, *, watch: bool) -> int:
    """Print all sessions, the oldest first, with ``watch`` until interrupted."""
    if watch:
        if app.as_json:
            raise click.UsageError("--watch and --json exclude each other.")
        return await status.watch(app)
    async with opened(app, restore=False) as manager:
        views = await views_of(manager)
    if app.as_json:
        write_json([each.to_json() for each in views])
    elif views:
        write_table(COLUMNS, [each.row() for each in views], optional=OPTIONAL)
    else:
        note("There are no sessions. `frith new` creates one.")
    return 0


async def show(app: App, *, given: str) -> int:
    """Print everything known about the session named ``given``."""
    async with opened(app, restore=False) as manager:
        chosen = await view(manager, select(manager.get_all_sessions(), given))
    if app.as_json:
        write_json(chosen.to_json())
    else:
        write_table(("FIELD", "VALUE"), chosen.fields())
    return 0


def plugins(app: App, commands: Commands) -> int:
    """Print the installed plugins, and the ``commands`` of other distributions; opens nothing."""
    config = settings_of(app, anywhere=True).config
    records = [*installed_plugins(config), *commands.records(config.blocked_plugins)]
    if app.as_json:
        write_json([asdict(record) for record in records])
    else:
        write_table(
            ("NAME", "DISTRIBUTION", "VERSION", "STATE", "PROVIDERS", "REASON"),
            [
                (r.name, r.distribution, r.version, r.state, ", ".join(r.providers), r.reason)
                for r in records
            ],
        )
    return 0


def suggestions(app: App) -> list[tuple[str, str]]:
    """Return for each session its name, or its id if the name is not unique, and its branch."""

    async def look(manager: SessionManager) -> list[tuple[str, str]]:
        sessions = manager.get_all_sessions()
        return [(called(sessions, each, id_length=None), each.branch) for each in sessions]

    return with_manager(app, look, restore=False)
