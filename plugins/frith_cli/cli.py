"""The command line: every command with its arguments, options and help.

Only click is imported here, so that help and completion are fast. A command is implemented by the
function of its name in a module of :mod:`frith_cli.commands`, which is imported when it runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, update_wrapper
from importlib import import_module
from typing import Any

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from frith_cli.context import App
from frith_cli.extensions import Commands
from frith_cli.parameters import (
    WithCommand,
    check_keys,
    check_seconds,
    complete_key,
    detach_key_option,
    detach_option,
    json_option,
    optional_session_argument,
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


@click.group(
    cls=Commands, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
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


def _command(module: str, **attributes: Any) -> Callable[[Callable[[], None]], click.Command]:
    """Define a command whose implementation is in ``frith_cli.commands.MODULE``.

    The decorated function has its name, help and options. The implementation is a coroutine
    function that gets the :class:`App` and the options by name, and returns the exit code.
    """

    def define(described: Callable[[], None]) -> click.Command:
        def call(app: App, /, **parameters: Any) -> int:
            from frith_cli.guard import drive

            implementations = import_module(f"frith_cli.commands.{module}")
            work = getattr(implementations, described.__name__)
            return drive(partial[Awaitable[int]](work, app, **parameters))

        return cli.command(**attributes)(click.pass_obj(update_wrapper(call, described)))

    return define


@_command("start", cls=WithCommand, epilog="COMMAND defaults to the setting, otherwise your shell.")
@click.argument("name", required=False)
@click.option("--branch", help="The branch; by default feature/NAME.")
@click.option("--base", metavar="REF", help="Where the branch starts; by default HEAD.")
@click.option("--existing", is_flag=True, help="Use an existing branch.")
@click.option("--share", is_flag=True, help="Share the worktree if a session has the branch.")
@click.option("--no-attach", is_flag=True, help="Create the session without starting a process.")
@detach_option
@detach_key_option
@json_option
def new() -> None:
    """Create a session and attach this terminal to it."""


@_command("start")
@session_argument
@click.option("--read-only", is_flag=True, help="Pass on neither input nor the window size.")
@detach_key_option
def attach() -> None:
    """Attach this terminal to a running session."""


@_command("start", cls=WithCommand, epilog="COMMAND defaults to the previous one.")
@optional_session_argument
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Start every interrupted session without attaching, as after a reboot.",
)
@detach_option
@detach_key_option
def resume() -> None:
    """Start a session's process again and attach to it."""


@_command("start", cls=WithCommand, epilog="COMMAND defaults to the previous one.")
@session_argument
@detach_option
@detach_key_option
def restart() -> None:
    """End a session's process, then resume the session."""


@_command("show")
@click.option("--watch", is_flag=True, help="Show the list until Ctrl-C, always up to date.")
@json_option
def ls() -> None:
    """List the sessions."""


@_command("show")
@session_argument
@json_option
def show() -> None:
    """Show one session in full."""


@_command("stop")
@session_argument
@json_option
def stop() -> None:
    """End a session's process, whichever host runs it."""


@_command("terminal")
@session_argument
@click.argument("text")
@click.option("--no-enter", is_flag=True, help="Do not send Enter after TEXT.")
def send() -> None:
    """Send TEXT and Enter to a session."""


@_command(
    "terminal",
    epilog="Keys: Enter Escape Tab Space BSpace Up PageUp F1 …, C-c M-x S-Up, or a letter.",
)
@session_argument
@click.argument(
    "names",
    metavar="KEY...",
    nargs=-1,
    required=True,
    callback=check_keys,
    shell_complete=complete_key,
)
def keys() -> None:
    """Send keys, named as in tmux, to a session."""


@_command("terminal")
@session_argument
@click.option("-f", "--follow", is_flag=True, help="Continue until the process ends.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), metavar="LINES", help="Only the last LINES lines."
)
def tail() -> None:
    """Print the output of a session, byte for byte."""


@_command("stop")
@session_argument
@click.option("--cleanup", is_flag=True, help="Remove the worktree too; the branch always stays.")
@click.option("--force", is_flag=True, help="Destroy work in the worktree without asking.")
def rm() -> None:
    """Destroy a session. Its worktree stays unless --cleanup is given.

    If that would destroy work that exists nowhere else, the command lists it and asks; without a
    terminal it refuses.
    """


@_command("status")
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
    "seconds",
    type=click.FloatRange(min=0),
    callback=check_seconds,
    metavar="SECONDS",
    help="Stop waiting after SECONDS.",
)
@json_option
def wait() -> None:
    """Wait until a session has a status, and print it."""


@_command("status", epilog="Within a session, SESSION can be omitted.")
@click.argument("status", type=click.Choice(["active", "waiting", "idle", "error"]))
@optional_session_argument
@click.option("--message", metavar="TEXT", help="The question or message for the user.")
def report() -> None:
    """Set the status of a session, from its program's own hooks."""


@_command("repair")
@click.option("--dry-run", is_flag=True, help="Only print what would change.")
@json_option
def rebuild() -> None:
    """Restore sessions from the markers in their worktrees."""


@_command("repair")
@click.option("--fix", is_flag=True, help="Repair what can be repaired.")
@json_option
def doctor() -> None:
    """Check the state file, worktrees, owners and processes."""


@cli.command()
@json_option
@click.pass_obj
def plugins(app: App, /) -> int:
    """List the plugins and their state."""
    from frith_cli.commands import show

    return show.plugins(app, cli)


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

    return drive(partial(run, keep=keep))
