"""From arguments to an exit code: every failure becomes one line on standard error."""

from __future__ import annotations

import errno
import io
import json
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import click

from frith_cli._streams import discard, tell

if TYPE_CHECKING:
    from frith.errors import FrithError
    from frith_cli._config import Settings

REFUSED = 1
"""Something was refused or failed."""
USAGE = 2
"""The command line or the configuration is wrong; nothing was tried."""
PROCESS_FAILED = 3
"""The session's process failed."""
TIMED_OUT = 124
"""The time was up; as timeout(1) has it."""

_BY_SIGNAL = 128


class Interrupted(Exception):  # noqa: N818 - the end that was asked for, not a fault
    """A signal asked the command to end, and it has cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by signal {number}")
        self.number = number


@dataclass
class App:
    """What all commands are given: the options in front of them, and how they speak."""

    workspace: str | None = None
    flags: tuple[tuple[str, str, str], ...] = ()
    """Settings given as flags: how each was written, its key, its value."""
    verbosity: int = 0
    debug: bool = False
    as_json: bool = False
    """Whether the command was asked for JSON; errors are JSON then too."""
    settings: Settings | None = None
    """Once they were read."""

    def take(self, options: Mapping[str, Any]) -> None:
        """Take the options in front of all commands, by their names."""
        self.workspace = options.get("workspace")
        settings = list(options.get("settings") or ())
        self.flags = tuple((f"--set {key}={value}", key, value) for key, value in settings)
        if store := options.get("store"):
            self.flags += ((f"--store {store}", "store", store),)


def run(arguments: Sequence[str]) -> int:
    """Run the command with ``arguments`` and return its exit code."""
    from frith_cli._cli import cli

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app = App()
    try:
        return int(cli.main(list(arguments), "frith", standalone_mode=False, obj=app) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _BY_SIGNAL + signal.SIGINT
    except Interrupted as error:
        return _BY_SIGNAL + error.number
    except Exception as error:
        return _failed(app, error)


def _failed(app: App, error: Exception) -> int:
    """Say what went wrong and return the exit code for it."""
    from frith.errors import (
        ConfigurationError,
        FrithError,
        InvalidWorkspaceError,
        ProviderNotFoundError,
    )

    if app.debug:
        traceback.print_exception(error)
    wrong_usage = (ConfigurationError, InvalidWorkspaceError, ProviderNotFoundError)
    code = USAGE
    for cause in _causes(error):
        if isinstance(cause, ConfigurationError) and app.settings:
            cause = app.settings.blame(cause)
        if isinstance(cause, FrithError):
            _say(app, f"{cause}{_how(cause)}", cause.code)
        elif _is_full(cause):
            discard(sys.stdout)
            _say(app, f"Cannot write the output: {cause.strerror}.", "OUTPUT_FAILED")
        else:
            hint = "" if app.debug else " Run with --debug for the traceback."
            _say(app, f"{type(cause).__name__}: {cause}.{hint}", "INTERNAL")
        if not isinstance(cause, wrong_usage):
            code = REFUSED
    return code


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error


def _how(error: FrithError) -> str:
    """Return how one follows the advice that ``error`` gives with this command, if one can."""
    from frith.errors import (
        BranchBlockedError,
        BranchInUseError,
        BranchTakenError,
        SessionNotRunningError,
        StoreMismatchError,
    )

    if isinstance(error, SessionNotRunningError):
        name = error.session_name or str(error.session_id)[:8]
        return f" `frith resume {name}` does that; `frith tail {name}` shows its last output."
    if isinstance(error, StoreMismatchError) and error.bound.startswith("json:"):
        return f" The setting is `options.store.json.file={error.bound.removeprefix('json:')}`."
    if isinstance(error, BranchBlockedError):
        return " The flag for that is `--branch`."
    if isinstance(error, BranchTakenError) and error.session_id:
        name = error.session_name or error.session_id[:8]
        return f" `frith attach {name}` shows it; `--existing --share` shares its worktree."
    if isinstance(error, BranchTakenError):
        return " The flag for that is `--existing`."
    if isinstance(error, BranchInUseError) and error.session_id:
        return " The flag to share it is `--share`."
    return ""


def _is_full(error: BaseException) -> TypeGuard[OSError]:
    """Tell if standard output took no more; errors in writing files name the file."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full and error.filename is None


def _say(app: App, message: str, code: str) -> None:
    from frith.logs import printable

    if app.as_json:
        tell(json.dumps({"code": code, "message": message}))
    else:
        tell(f"frith: {printable(message)} [{code}]")
