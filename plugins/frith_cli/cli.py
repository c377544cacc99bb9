"""The command line: every command with its arguments, options and help.

Only click is imported here, so that help and completion are fast. Each command imports its
implementation when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from frith_cli.context import App
from frith_cli.parameters import (
    WithCommand,
    check_keys,
    check_seconds,
    complete_key,
    complete_session,
    detach_key_option,
    detach_option,
    json_option,
    session_argument,
    settings_of_flags,
)

_EXIT_CODES = """
\b
Exit codes:
  0     done
  1     refused or failed; doctor: findings remain
  2     wrong command line or configuration; nothing was tried
  3     the session's process failed
  124   wait: the time limit was reached
  128+N ended by signal N: 130 by Ctrl-C
"""

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


class _Commands(click.Group):
    """The built-in commands as defined below, then those of other distributions."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from frith_cli.extensions import names

        return [*self.commands, *names(self.commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if built_in := self.commands.get(cmd_name):
            return built_in
        from frith_cli.extensions import find

        return find(cmd_name, ctx.params)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        from frith_cli.extensions import ignored

        if rows := ignored(self.commands):
            with formatter.section("Ignored commands"):
                formatter.write_dl(rows)


@click.group(
    cls=_Commands, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "-w",
    "--workspace",
    type=click.Path(),
    help="The repository; by default the one that contains the current directory.",
)
@click.option("--store", metavar="NAME", help="The store provider.")
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    callback=settings_of_flags,
    help="A setting; may be repeated.",
)
@click.option("-v", "--verbose", count=True, help="Show events; -vv: debug messages too.")
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


def _command(**attributes: Any) -> Callable[[Callable[..., int]], click.Command]:
    """Define a command; its function gets the :class:`App` first."""
    return lambda function: cli.command(**attributes)(click.pass_obj(function))


@_command(cls=WithCommand, epilog="COMMAND defaults to the setting, otherwise your shell.")
@click.argument("name", required=False)
@click.option("--branch", help="The branch; by default feature/NAME.")
@click.option("--base", metavar="REF", help="Where the branch starts; by default HEAD.")
@click.option("--existing", is_flag=True, help="Use an existing branch.")
@click.option("--share", is_flag=True, help="Share the worktree if a session has the branch.")
@click.option("--no-attach", is_flag=True, help="Create the session without starting a process.")
@detach_option
@detach_key_option
@json_option
def new(app: App, /, no_attach: bool, detached: bool, **options: Any) -> int:
    """Create a session and attach this terminal to it."""
    if no_attach and detached:
        raise click.UsageError(
            "--detach and --no-attach exclude each other: only --detach starts a process."
        )
    if app.as_json and not (no_attach or detached):
        raise click.UsageError(
            "--json needs --detach or --no-attach: the process writes to stdout."
        )
    if options["share"] and not options["existing"]:
        raise click.UsageError("--share needs --existing: a new branch has no worktree to share.")
    from frith_cli.commands import start

    return start.new(app, start=not no_attach, detached=detached, **options)


@_command()
@session_argument
@click.option("--read-only", is_flag=True, help="Pass on neither input nor the window size.")
@detach_key_option
def attach(app: App, /, session: str, read_only: bool) -> int:
    """Attach this terminal to a running session."""
    from frith_cli.commands import start

    return start.attach(app, session, read_only=read_only)


@_command(cls=WithCommand, epilog="COMMAND defaults to the previous one.")
@click.argument("session", required=False, shell_complete=complete_session)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Start every interrupted session without attaching, as after a reboot.",
)
@detach_option
@detach_key_option
def resume(
    app: App, /, session: str | None, every: bool, command: list[str] | None, detached: bool
) -> int:
    """Start a session's process again and attach to it."""
    from frith_cli.commands import start

    if every:
        if session or command:
            raise click.UsageError("--all takes neither a session nor a command.")
        return start.resume_all(app)
    if session is None:
        raise click.UsageError("Name a session, or give --all.")
    return start.resume(app, session, command=command, detached=detached)


@_command(cls=WithCommand, epilog="COMMAND defaults to the previous one.")
@session_argument
@detach_option
@detach_key_option
def restart(app: App, /, session: str, command: list[str] | None, detached: bool) -> int:
    """End a session's process, then resume the session."""
    from frith_cli.commands import start

    return start.resume(app, session, command=command, detached=detached, stop=True)


@_command()
@click.option("--watch", is_flag=True, help="Show the list until Ctrl-C, always up to date.")
@json_option
def ls(app: App, /, watch: bool) -> int:
    """List the sessions."""
    if watch:
        if app.as_json:
            raise click.UsageError("--watch and --json exclude each other.")
        from frith_cli.commands import status

        return status.watch(app)
    from frith_cli.commands import show

    return show.ls(app)


@_command()
@session_argument
@json_option
def show(app: App, /, session: str) -> int:
    """Show one session in full."""
    from frith_cli.commands import show

    return show.show(app, session)


@_command()
@session_argument
@json_option
def stop(app: App, /, session: str) -> int:
    """End a session's process, whichever host runs it."""
    from frith_cli.commands import stop

    return stop.stop(app, session)


@_command()
@session_argument
@click.argument("text")
@click.option("--no-enter", is_flag=True, help="Do not send Enter after TEXT.")
def send(app: App, /, session: str, text: str, no_enter: bool) -> int:
    """Send TEXT and Enter to a session."""
    from frith_cli.commands import terminal

    return terminal.send(app, session, text, enter=not no_enter)


@_command(epilog="Keys: Enter Escape Tab Space BSpace Up PageUp F1 …, C-c M-x S-Up, or a letter.")
@session_argument
@click.argument(
    "keys",
    metavar="KEY...",
    nargs=-1,
    required=True,
    callback=check_keys,
    shell_complete=complete_key,
)
def keys(app: App, /, session: str, keys: tuple[str, ...]) -> int:
    """Send keys, named as in tmux, to a session."""
    from frith_cli.commands import terminal

    return terminal.keys(app, session, keys)


@_command()
@session_argument
@click.option("-f", "--follow", is_flag=True, help="Continue until the process ends.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), metavar="LINES", help="Only the last LINES lines."
)
def tail(app: App, /, session: str, follow: bool, lines: int | None) -> int:
    """Print the output of a session, byte for byte."""
    from frith_cli.commands import terminal

    return terminal.tail(app, session, lines=lines, follow=follow)


@_command()
@session_argument
@click.option("--cleanup", is_flag=True, help="Remove the worktree too; the branch always stays.")
@click.option("--force", is_flag=True, help="Destroy work in the worktree without asking.")
def rm(app: App, /, session: str, cleanup: bool, force: bool) -> int:
    """Destroy a session. Its worktree stays unless --cleanup is given.

    If that would destroy work that exists nowhere else, the command lists it and asks; without a
    terminal it refuses.
    """
    if force and not cleanup:
        raise click.UsageError("--force needs --cleanup: without it no work is destroyed.")
    from frith_cli.commands import stop

    return stop.rm(app, session, cleanup=cleanup, force=force)


@_command()
@session_argument
@click.option(
    "--for",
    "wanted",
    type=click.Choice(["exit", "active", "waiting", "idle", "error", "stopped"]),
    multiple=True,
    default=["exit"],
    show_default=True,
    help="The status or exit to wait for; may be repeated: any of them.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    callback=check_seconds,
    metavar="SECONDS",
    help="Stop waiting after SECONDS.",
)
@json_option
def wait(app: App, /, session: str, wanted: tuple[str, ...], timeout: float | None) -> int:
    """Wait until a session has a status, and print it."""
    from frith_cli.commands import status

    return status.wait(app, session, frozenset(wanted), timeout)


@_command(epilog="Within a session, SESSION can be omitted.")
@click.argument("status", type=click.Choice(["active", "waiting", "idle", "error"]))
@click.argument("session", required=False, shell_complete=complete_session)
@click.option("--message", metavar="TEXT", help="The question or message for the user.")
def report(app: App, /, status: str, session: str | None, message: str | None) -> int:
    """Set the status of a session, from its program's own hooks."""
    from frith_cli.commands.status import report

    return report(app, status, session, message)


@_command()
@click.option("--dry-run", is_flag=True, help="Only print what would change.")
@json_option
def rebuild(app: App, /, dry_run: bool) -> int:
    """Restore sessions from the markers in their worktrees."""
    from frith_cli.commands import repair

    return repair.rebuild(app, dry_run=dry_run)


@_command()
@click.option("--fix", is_flag=True, help="Repair what can be repaired.")
@json_option
def doctor(app: App, /, fix: bool) -> int:
    """Check the state file, worktrees, owners and processes."""
    from frith_cli.commands import repair

    return repair.doctor(app, fix=fix)


@_command()
@json_option
def plugins(app: App, /) -> int:
    """List the plugins and their state."""
    from frith_cli.commands import show

    return show.plugins(app, cli.commands)


@cli.command(epilog='For bash: eval "$(frith completion bash)"')
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print the script for completion in your shell."""
    click.echo(_SHELLS[shell](cli, {}, "frith", "_FRITH_COMPLETE").source())


@cli.command()
@click.option("--keep", is_flag=True, help="Keep the temporary directory, and print its path.")
def demo(keep: bool) -> int:
    """Show that sessions survive a killed host and a damaged file.

    Needs no repository and no terminal: it works in a temporary directory.
    """
    from frith_cli.demo.steps import run
    from frith_cli.guard import drive

    return drive(lambda _: run(keep=keep))
