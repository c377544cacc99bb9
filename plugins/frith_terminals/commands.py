"""The file and the working directory of a command."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from frith.errors import CommandNotFoundError, SpawnError, WorkingDirectoryError
from frith.ports import SpawnRequest
from frith_terminals.terminal import checked

_HINTS = {
    errno.E2BIG: "arguments and environment are too long; pass less, or pass it in a file",
    errno.EAGAIN: "the limit of processes is reached; end some, or raise `ulimit -u`",
}


@contextmanager
def refusals(request: SpawnRequest, path: str) -> Iterator[None]:
    """Turn errors of executing ``path`` into errors that tell a person what to do.

    Raises:
        CommandNotFoundError, SpawnError: see ``TerminalSpawner.spawn``.
    """
    command = request.command
    try:
        yield
    except FileNotFoundError as error:
        raise CommandNotFoundError(command, f"the interpreter of {path!r} is missing") from error
    except PermissionError as error:
        raise CommandNotFoundError(command, f"{path!r} may not be executed") from error
    except OSError as error:
        raise SpawnError(command, _HINTS.get(error.errno or 0, str(error))) from error


def check(request: SpawnRequest, env: Mapping[str, str]) -> None:
    """Check that ``request`` can be passed to a process.

    Raises:
        SpawnError: it cannot.
    """
    if not request.command or not request.command[0]:
        raise SpawnError(request.command, "the command is empty; give at least a program")
    try:
        checked(request.size)
    except ValueError as error:
        raise SpawnError(request.command, str(error)) from error
    if any("\0" in text for text in (*request.command, *env, *env.values(), request.cwd)):
        raise SpawnError(request.command, "an argument, variable or path contains a NUL byte")
    for name in env:
        if not name or "=" in name:
            raise SpawnError(request.command, f"{name!r} is not a name of an environment variable")


@contextmanager
def directory(request: SpawnRequest) -> Iterator[int]:
    """Open the working directory.

    Raises:
        WorkingDirectoryError: it cannot be entered.
    """
    try:
        fd = os.open(request.cwd, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        reason = f"working directory {request.cwd!r}: {error.strerror}"
        raise WorkingDirectoryError(request.command, reason) from error
    try:
        if not os.access(request.cwd, os.X_OK, effective_ids=True):
            reason = f"working directory {request.cwd!r} may not be entered"
            raise WorkingDirectoryError(request.command, reason)
        yield fd
    finally:
        os.close(fd)


def find(request: SpawnRequest, search: str) -> str:
    """Return the file to execute, relative to the working directory if not absolute.

    Args:
        request: names the command.
        search: the directories of ``PATH``.

    Raises:
        CommandNotFoundError: there is no file that may be executed.
    """
    name = request.command[0]
    candidates = [name] if "/" in name else [f"{d or '.'}/{name}" for d in search.split(":")]
    refused = None
    for candidate in candidates:
        path = os.path.join(request.cwd, candidate)
        # os.path takes a directory that may not be searched for empty; pathlib would raise.
        if os.path.isfile(path):
            if os.access(path, os.X_OK, effective_ids=True):
                return candidate
            refused = refused or candidate
        elif "/" in name and os.path.isdir(path):
            raise CommandNotFoundError(request.command, f"{name!r} is a directory")
    if refused:
        reason = f"{refused!r} may not be executed; make it executable"
    elif "/" in name:
        reason = f"there is no {name!r}"
    else:
        reason = f"there is no {name!r} in PATH; install it, or give its full path"
    raise CommandNotFoundError(request.command, reason)


def is_script(request: SpawnRequest, path: str) -> bool:
    """Return whether ``path`` is text, which ``/bin/sh`` may run, as in execvp(3)."""
    with suppress(OSError), Path(request.cwd, path).open("rb") as file:
        return b"\0" not in file.read(256)
    return False
