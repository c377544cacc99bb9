"""``ls``, ``show``, ``plugins``, and the completion of sessions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict

from frith import Session, SessionManager, installed_plugins
from frith_cli import extensions
from frith_cli.config import settings_of
from frith_cli.console import note, write_json, write_table
from frith_cli.context import App
from frith_cli.opening import with_manager
from frith_cli.sessions import COLUMNS, OPTIONAL, View, called, select, views_of


def ls(app: App) -> int:
    """Print all sessions, the oldest first."""
    views = _views(app)
    if app.as_json:
        write_json([each.to_json() for each in views])
    elif views:
        write_table(COLUMNS, [each.row() for each in views], optional=OPTIONAL)
    else:
        note("There are no sessions. `frith new` creates one.")
    return 0


def show(app: App, given: str) -> int:
    """Print everything known about the session named ``given``."""
    views = {each.session.id: each for each in _views(app)}
    chosen = views[select([each.session for each in views.values()], given).id]
    if app.as_json:
        write_json(chosen.to_json())
    else:
        write_table(("FIELD", "VALUE"), chosen.fields())
    return 0


def plugins(app: App, built_in: Collection[str]) -> int:
    """Print the installed plugins, and the commands that are not ``built_in``; opens nothing."""
    config = settings_of(app, anywhere=True).config
    commands = extensions.records(built_in, config.blocked_plugins)
    records = [*installed_plugins(config), *commands]
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

    async def look(manager: SessionManager) -> Sequence[Session]:
        return manager.get_all_sessions()

    sessions = with_manager(app, look, restore=False)
    return [(called(sessions, each, id_length=None), each.branch) for each in sessions]


def _views(app: App) -> list[View]:
    """Return all sessions, changing nothing, unless the state file must be recovered."""
    return with_manager(app, views_of, restore=False)
