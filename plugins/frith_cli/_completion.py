"""Completes session names, session ids and keys in the shell."""

from __future__ import annotations

from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from frith_cli._app import App


def complete_session(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return what names a session and begins with ``incomplete``."""
    app = App(verbosity=-1)
    app.take(context.find_root().params)
    # A key press is no place for errors: without an answer there are no suggestions.
    with suppress(Exception):
        from frith_cli._commands.listing import suggestions

        return [
            CompletionItem(value, help=branch)
            for value, branch in suggestions(app)
            if value.startswith(incomplete)
        ]
    return []


def complete_key(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the names of keys that begin with ``incomplete``."""
    from frith_cli._keys import NAMES

    start = incomplete.lower()
    return [CompletionItem(name) for name in NAMES if name.lower().startswith(start)]
