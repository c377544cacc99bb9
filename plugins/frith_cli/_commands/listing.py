"""What is there: ``ls``, ``show``, ``plugins``, and suggestions for the shell."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from frith import installed_plugins
from frith_cli._app import App
from frith_cli._console import note, write_json, write_table
from frith_cli._guard import Guard, drive
from frith_cli._opening import opened, settings_of
from frith_cli._select import is_plain, select
from frith_cli._view import COLUMNS, LESS_NEEDED, View, view


def ls(app: App) -> int:
    """Print all sessions, the oldest first."""
    views = drive(lambda guard: _views(app, guard))
    if app.as_json:
        write_json([each.to_json() for each in views])
    elif views:
        write_table(COLUMNS, [each.row() for each in views], less_needed=LESS_NEEDED)
    else:
        note("There are no sessions. `frith new` creates one.")
    return 0


def show(app: App, given: str) -> int:
    """Print all about the session that ``given`` names."""
    views = {each.session.id: each for each in drive(lambda guard: _views(app, guard))}
    chosen = views[select([each.session for each in views.values()], given).id]
    if app.as_json:
        write_json(chosen.to_json())
    else:
        write_table(("FIELD", "VALUE"), chosen.fields())
    return 0


def plugins(app: App) -> int:
    """Print what became of each installed plugin, in a repository or not."""
    records = installed_plugins(settings_of(app, anywhere=True).config)
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
    """Return what names each session in a shell, the id where the name does not, and its branch."""

    async def look(guard: Guard) -> list[tuple[str, str]]:
        async with opened(app, guard, restore=False) as manager:
            sessions = manager.get_all_sessions()
        times = Counter(session.name for session in sessions)
        return [
            (each.name if times[each.name] == 1 and is_plain(each.name) else each.id, each.branch)
            for each in sessions
        ]

    return drive(look)


async def _views(app: App, guard: Guard) -> list[View]:
    """Look without changing anything, unless the record is lost: then it is recovered."""
    async with opened(app, guard, restore=False) as manager:
        sessions = sorted(manager.get_all_sessions(), key=lambda session: session.created_at)
        return [await view(manager, session) for session in sessions]
