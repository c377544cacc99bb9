"""Completes session names and ids in the shell."""

from __future__ import annotations

from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from spinney_cli._app import App


class SessionName(click.ParamType):
    """What names a session: its id, its name, or the start of its id."""

    name = "session"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin with ``incomplete``; of those that repeat, the ids."""
        app = App(verbosity=-1)
        app.take(**ctx.find_root().params)
        # A key press is no place for errors: without an answer there are no suggestions.
        with suppress(Exception):
            from spinney_cli._commands.listing import suggestions

            return [
                CompletionItem(value, help=help_)
                for value, help_ in suggestions(app)
                if value.startswith(incomplete)
            ]
        return []
