"""Runs the command: arguments in, exit code out. Each error becomes a line on standard error."""

from __future__ import annotations

import errno
import io
import json
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeGuard

import click

from frith_cli.cli import cli
from frith_cli.context import REFUSED, USAGE, App, Interrupted
from frith_cli.streams import discard, open_closed, tell

if TYPE_CHECKING:
    from frith.errors import FrithError

_BY_SIGNAL = 128


def main() -> None:
    """Run the command with the arguments of this process, and exit with its exit code."""
    open_closed()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command with ``arguments`` and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app = App()
    try:
        result = cli.main(list(arguments), "frith", standalone_mode=False, obj=app)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _BY_SIGNAL + signal.SIGINT
    except Interrupted as error:
        return _BY_SIGNAL + error.number
    except Exception as error:
        return _report(app, error)


def _report(app: App, error: Exception) -> int:
    """Print each cause of ``error`` on standard error and return the exit code."""
    from frith import errors

    if app.debug:
        traceback.print_exception(error)
    usage = (
        errors.ConfigurationError,
        errors.InvalidWorkspaceError,
        errors.ProviderNotFoundError,
    )
    code = USAGE
    for cause in _causes(error):
        if isinstance(cause, errors.ConfigurationError) and app.settings:
            cause = app.settings.blame(cause)
        if isinstance(cause, errors.FrithError):
            _print(app, f"{cause}{_advice(cause)}", cause.code)
        elif _is_full(cause):
            discard(sys.stdout)
            _print(app, f"Cannot write the output: {cause.strerror}.", "OUTPUT_FAILED")
        else:
            hint = "" if app.debug else " Run with --debug for the traceback."
            _print(app, f"{type(cause).__name__}: {cause}.{hint}", "INTERNAL")
        if not isinstance(cause, usage):
            code = REFUSED
    return code


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error


def _advice(error: FrithError) -> str:
    """Return the flag or command that does what the message of ``error`` advises, if any does."""
    from frith import errors

    match error:
        case errors.SessionNotRunningError():
            name = error.session_name or str(error.session_id)[:8]
            return f" `frith resume {name}` does that; `frith tail {name}` shows its last output."
        case errors.StoreMismatchError() if error.bound.startswith("json:"):
            return f" The setting is `options.store.json.file={error.bound.removeprefix('json:')}`."
        case errors.BranchBlockedError():
            return " The flag for that is `--branch`."
        case errors.BranchTakenError() if error.session_id:
            name = error.session_name or error.session_id[:8]
            return f" `frith attach {name}` shows it; `--existing --share` shares its worktree."
        case errors.BranchTakenError():
            return " The flag for that is `--existing`."
        case errors.BranchInUseError() if error.session_id:
            return " The flag to share it is `--share`."
    return ""


def _is_full(error: BaseException) -> TypeGuard[OSError]:
    """Return whether standard output is full; an error about another file has its name."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full and error.filename is None


def _print(app: App, message: str, code: str) -> None:
    from frith.logs import printable

    if app.as_json:
        tell(json.dumps({"code": code, "message": message}))
    else:
        tell(f"frith: {printable(message)} [{code}]")
