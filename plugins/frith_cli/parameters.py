"""Options, arguments and kinds of commands that several commands share, with their completion."""

from __future__ import annotations

import math
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from frith_cli.context import App


class WithCommand(click.Command):
    """A command whose arguments after ``--`` are the command of a session, options included."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the pieces of the usage line, ``COMMAND`` included."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what precedes ``--``; the rest becomes the parameter ``command``."""
        end = args.index("--") if "--" in args else len(args)
        command = args[end + 1 :]
        if ctx.resilient_parsing and end < len(args):  # completion: COMMAND has no completions
            ctx.command = click.Command(None, add_help_option=False)
        elif args[end:] == ["--"]:
            raise click.UsageError("There is no command after `--`.", ctx)
        rest = super().parse_args(ctx, args[:end])
        ctx.params["command"] = command or None
        return rest


def settings_of_flags(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Split each ``KEY=VALUE``."""
    pairs = [text.partition("=") for text in given]
    for key, equals, value in pairs:
        if not (key and equals):
            raise click.BadParameter(f"{key + value!r} is not KEY=VALUE.", context, parameter)
    return tuple((key, value) for key, _, value in pairs)


def check_keys(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse unknown names of keys."""
    from frith_cli.attach.keys import UnknownKeyError, sent_for

    for name in given:
        try:
            sent_for(name)
        except UnknownKeyError as error:
            raise click.BadParameter(str(error), context, parameter) from error
    return given


def check_seconds(
    context: click.Context, parameter: click.Parameter, given: float | None
) -> float | None:
    """Refuse ``nan``, which click accepts as a number."""
    if given is not None and math.isnan(given):
        raise click.BadParameter("nan is not a number of seconds.", context, parameter)
    return given


def complete_session(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the names and ids of sessions that begin with ``incomplete``; none after an error."""
    app = App(verbosity=-1)
    app.take(context.find_root().params)
    with suppress(Exception):
        from frith_cli.commands.show import suggestions

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
    from frith_cli.attach.keys import NAMES

    start = incomplete.lower()
    return [CompletionItem(name) for name in NAMES if name.lower().startswith(start)]


def _set_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.obj.as_json = True


def _set_detach_key(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.obj.flags += ((f"--detach-key {value}", "detach_key", value),)


json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_set_json, help="Print JSON."
)
detach_key_option = click.option(
    "--detach-key",
    metavar="KEY",
    expose_value=False,
    callback=_set_detach_key,
    help="The key that detaches, such as ^B; otherwise the setting, or Ctrl-].",
)
detach_option = click.option(
    "--detach", "detached", is_flag=True, help="Leave the process running, and return at once."
)
session_argument = click.argument("given", metavar="SESSION", shell_complete=complete_session)
optional_session_argument = click.argument(
    "given", metavar="[SESSION]", required=False, shell_complete=complete_session
)
