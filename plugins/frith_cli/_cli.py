"""What the command line looks like: every command, argument and option, and nothing they do.

Only click is imported here, so that help and completion come at once. What a command does is
imported when it runs.
"""

from __future__ import annotations

import math
from typing import Any

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from frith_cli._app import App
from frith_cli._completion import complete_key, complete_session

_EXIT_CODES = """
\b
Exit codes:
  0     done
  1     refused or failed; doctor: findings remain
  2     wrong command line or configuration; nothing was tried
  3     the session's process failed
  124   wait: the time was up
  128+N ended by signal N: 130 by Ctrl-C
"""

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


class _Commands(click.Group):
    """The commands in the order in which they are written here, ``demo`` last."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, "demo"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "demo":
            from frith_cli._demo import demo

            return demo
        return super().get_command(ctx, cmd_name)


class _WithCommand(click.Command):
    """A command whose arguments after ``--`` are a session's command, whatever they look like."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        command = args[end + 1 :]
        if ctx.resilient_parsing and end < len(args):  # completing: nothing is known of COMMAND
            ctx.command = click.Command(None, add_help_option=False)
        elif args[end:] == ["--"]:
            raise click.UsageError("There is no command after `--`.", ctx)
        rest = super().parse_args(ctx, args[:end])
        ctx.params["command"] = command or None
        return rest


def _key_and_value(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition("=") for text in given]
    for key, equals, value in pairs:
        if not (key and equals):
            raise click.BadParameter(f"{key + value!r} is not KEY=VALUE.", context, parameter)
    return tuple((key, value) for key, _, value in pairs)


def _keys(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    from frith_cli._keys import UnknownKeyError, sent_for

    for name in given:
        try:
            sent_for(name)
        except UnknownKeyError as error:
            raise click.BadParameter(str(error), context, parameter) from error
    return given


def _seconds(
    context: click.Context, parameter: click.Parameter, given: float | None
) -> float | None:
    if given is not None and math.isnan(given):
        raise click.BadParameter("nan is no number of seconds.", context, parameter)
    return given


def _speak_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.obj.as_json = True


def _set_detach_key(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.obj.flags += ((f"--detach-key {value}", "detach_key", value),)


_json = click.option(
    "--json", is_flag=True, expose_value=False, callback=_speak_json, help="Print JSON."
)
_detach_key = click.option(
    "--detach-key",
    metavar="KEY",
    expose_value=False,
    callback=_set_detach_key,
    help="The key that detaches, such as ^B; else the setting; else Ctrl-].",
)
_detach = click.option(
    "--detach", "detached", is_flag=True, help="Leave it running, and return at once."
)
_session = click.argument("session", shell_complete=complete_session)


@click.group(
    cls=_Commands, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "-w", "--workspace", type=click.Path(), help="The repository; else the one around you."
)
@click.option("--store", metavar="NAME", help="The store provider.")
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_key_and_value,
    help="A setting; may be repeated.",
)
@click.option("-v", "--verbose", count=True, help="Show what happens; twice: all of it.")
@click.option("--debug", is_flag=True, help="Like -vv, and show tracebacks.")
@click.version_option(package_name="frith", message="%(prog)s %(version)s")
@click.pass_obj
def cli(app: App, /, verbose: int, debug: bool, **options: Any) -> None:
    """Sessions for parallel work: each a branch, a worktree, a terminal and a durable record.

    SESSION is an id, a name, or the start of an id.
    """
    app.take(options)
    app.verbosity = 2 if debug else verbose
    app.debug = debug


@cli.command(cls=_WithCommand, epilog="Without COMMAND: the setting's, else your shell.")
@click.argument("name", required=False)
@click.option("--branch", help="Its branch; else feature/NAME.")
@click.option("--base", metavar="REF", help="Where the branch starts; else HEAD.")
@click.option("--existing", is_flag=True, help="Take a branch that exists.")
@click.option("--share", is_flag=True, help="Share the worktree if a session has the branch.")
@click.option("--no-attach", is_flag=True, help="Create it idle, without starting its process.")
@_detach
@_detach_key
@_json
@click.pass_obj
def new(app: App, /, no_attach: bool, detached: bool, **options: Any) -> int:
    """Create a session and attach this terminal to it."""
    if no_attach and detached:
        raise click.UsageError("--detach starts the process, --no-attach does not: give one.")
    if app.as_json and not (no_attach or detached):
        raise click.UsageError("--json needs --detach or --no-attach: the session prints, too.")
    if options["share"] and not options["existing"]:
        raise click.UsageError("--share needs --existing: a new branch has no worktree to share.")
    from frith_cli._commands import running

    return running.new(app, start=not no_attach, detached=detached, **options)


@cli.command()
@_session
@click.option("--read-only", is_flag=True, help="Only look: nothing that is typed is passed on.")
@_detach_key
@click.pass_obj
def attach(app: App, /, session: str, read_only: bool) -> int:
    """Attach this terminal to a session that runs, also where others are attached."""
    from frith_cli._commands import running

    return running.attach_to(app, session, read_only=read_only)


@cli.command(cls=_WithCommand, epilog="Without COMMAND: the one it ran last.")
@click.argument("session", required=False, shell_complete=complete_session)
@click.option("--all", "every", is_flag=True, help="All idle sessions, detached; for a reboot.")
@_detach
@_detach_key
@click.pass_obj
def resume(
    app: App, /, session: str | None, every: bool, command: list[str] | None, detached: bool
) -> int:
    """Start a session's process again and attach this terminal to it."""
    from frith_cli._commands import running

    if every:
        if session or command:
            raise click.UsageError("--all takes every idle session, and what each ran last.")
        return running.resume_all(app)
    if session is None:
        raise click.UsageError("Name a session, or give --all.")
    return running.resume(app, session, command=command, detached=detached)


@cli.command(cls=_WithCommand, epilog="Without COMMAND: the one it ran last.")
@_session
@_detach
@_detach_key
@click.pass_obj
def restart(app: App, /, session: str, command: list[str] | None, detached: bool) -> int:
    """End a session's process, start it again and attach this terminal to it."""
    from frith_cli._commands import running

    return running.restart(app, session, command=command, detached=detached)


@cli.command()
@click.option("--watch", is_flag=True, help="Keep the list on the screen, up to date.")
@_json
@click.pass_obj
def ls(app: App, /, watch: bool) -> int:
    """List the sessions."""
    if watch:
        if app.as_json:
            raise click.UsageError("--watch draws a screen; it has no --json.")
        from frith_cli._commands import watching

        return watching.ls(app)
    from frith_cli._commands import listing

    return listing.ls(app)


@cli.command()
@_session
@_json
@click.pass_obj
def show(app: App, /, session: str) -> int:
    """Show all about one session."""
    from frith_cli._commands import listing

    return listing.show(app, session)


@cli.command()
@_session
@_json
@click.pass_obj
def stop(app: App, /, session: str) -> int:
    """End a session's process, here or in another terminal."""
    from frith_cli._commands import running

    return running.stop(app, session)


@cli.command()
@_session
@click.argument("text")
@click.option("--no-enter", is_flag=True, help="Do not press Enter after it.")
@click.pass_obj
def send(app: App, /, session: str, text: str, no_enter: bool) -> int:
    """Type TEXT into a session, and Enter."""
    from frith_cli._commands import talking

    return talking.send(app, session, text, enter=not no_enter)


@cli.command(
    epilog="Keys: Enter Escape Tab Space BSpace Up PageUp F1 …, C-c M-x S-Up, or a letter."
)
@_session
@click.argument(
    "keys", metavar="KEY...", nargs=-1, required=True, callback=_keys, shell_complete=complete_key
)
@click.pass_obj
def keys(app: App, /, session: str, keys: tuple[str, ...]) -> int:
    """Press keys in a session, called as in tmux."""
    from frith_cli._commands import talking

    return talking.keys(app, session, keys)


@cli.command()
@_session
@click.option("-f", "--follow", is_flag=True, help="Go on until its process ends.")
@click.option("-n", "--lines", type=click.IntRange(min=0), metavar="LINES", help="Only the last.")
@click.pass_obj
def tail(app: App, /, session: str, follow: bool, lines: int | None) -> int:
    """Print what a session has written, as it was written."""
    from frith_cli._commands import talking

    return talking.tail(app, session, lines=lines, follow=follow)


@cli.command()
@_session
@click.option("--cleanup", is_flag=True, help="Remove its worktree too; the branch always stays.")
@click.option("--force", is_flag=True, help="Destroy work in that worktree without asking.")
@click.pass_obj
def rm(app: App, /, session: str, cleanup: bool, force: bool) -> int:
    """Destroy a session. Its worktree stays unless --cleanup is given.

    If work would be lost that exists nowhere else, it says which and asks; without a terminal it
    refuses.
    """
    if force and not cleanup:
        raise click.UsageError("--force needs --cleanup: nothing else destroys work.")
    from frith_cli._commands import removing

    return removing.rm(app, session, cleanup=cleanup, force=force)


@cli.command()
@_session
@click.option(
    "--for",
    "wanted",
    type=click.Choice(["exit", "active", "waiting", "idle", "error", "stopped"]),
    multiple=True,
    default=["exit"],
    show_default=True,
    help="What to wait for; repeated: whichever comes first.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    callback=_seconds,
    metavar="SECONDS",
    help="Give up then.",
)
@_json
@click.pass_obj
def wait(app: App, /, session: str, wanted: tuple[str, ...], timeout: float | None) -> int:
    """Wait until a session is as wanted, whoever runs it, and print its status."""
    from frith_cli._commands import watching

    return watching.wait(app, session, frozenset(wanted), timeout)


@cli.command(epilog="Within a session SESSION can be left out.")
@click.argument("status", type=click.Choice(["active", "waiting", "idle", "error"]))
@click.argument("session", required=False, shell_complete=complete_session)
@click.option("--message", metavar="TEXT", help="What the user is asked or told.")
@click.pass_obj
def report(app: App, /, status: str, session: str | None, message: str | None) -> int:
    """Say what a session is doing, as its program's own hooks can."""
    from frith_cli._commands import reporting

    return reporting.report(app, status, session, message)


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@_json
@click.pass_obj
def rebuild(app: App, /, dry_run: bool) -> int:
    """Restore sessions from what their worktrees remember."""
    from frith_cli._commands import mending

    return mending.rebuild(app, dry_run=dry_run)


@cli.command()
@click.option("--fix", is_flag=True, help="Repair what can be repaired.")
@_json
@click.pass_obj
def doctor(app: App, /, fix: bool) -> int:
    """Compare state file, worktrees, owners and processes, and say what is wrong."""
    from frith_cli._commands import mending

    return mending.doctor(app, fix=fix)


@cli.command()
@_json
@click.pass_obj
def plugins(app: App, /) -> int:
    """List the plugins, and what became of each."""
    from frith_cli._commands import listing

    return listing.plugins(app)


@cli.command(epilog='For bash: eval "$(frith completion bash)"')
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print the script that completes commands and sessions in your shell."""
    click.echo(_SHELLS[shell](cli, {}, "frith", "_FRITH_COMPLETE").source())
