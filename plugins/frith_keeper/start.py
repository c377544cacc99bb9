"""Starts a keeper, which starts the command; blocks until both run."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import frith_os
from frith.errors import SpawnError, WorkingDirectoryError
from frith.ports import SpawnRequest
from frith_keeper.finding import Keepers, name_of
from frith_keeper.keeper_processes import NAME
from frith_keeper.link import Greeted, KeeperError, RefusedError, greet
from frith_keeper.options import KeeperOptions
from frith_keeper.service_managers import scope_manager
from frith_os.pty import wire
from frith_terminals.commands import check, directory, find, is_script, refusals
from frith_terminals.environment import environment

_PROGRAM = "import sys; sys.path += sys.argv[1:]; from keeper.main import main; main()"
_PATHS = (str(Path(__file__).parent), str(Path(frith_os.__file__).parent.parent))
"""Where the keeper's modules are, searched after the standard library."""
_WITHIN = 20.0
"""Seconds in which a keeper must have started."""
_KEPT = ("LD_LIBRARY_PATH",)
"""Variables without which some interpreters do not start."""
_LOOK = 10.0
"""Seconds after which a keeper checks again that hosts can find it."""


def start(
    request: SpawnRequest, terminal_id: str, keepers: Keepers, options: KeeperOptions
) -> Greeted:
    """Start a keeper that starts the command of ``request``; return it, greeted.

    Raises:
        CommandNotFoundError, WorkingDirectoryError, SpawnError: see ``TerminalSpawner.spawn``.
            Nothing is left then.
    """
    name = name_of(request.session_id, terminal_id)
    env = environment(request, options, terminal_id)
    check(request, env)
    with directory(request):
        path = find(request, env.get("PATH", os.defpath))
    wanted = {
        "session": request.session_id,
        "terminal": terminal_id,
        "name": name,
        "base": keepers.base,
        "look": _LOOK,
        "directory": keepers.directory,
        "output": keepers.output(request.session_id),
        "manager": scope_manager(),
        "argv": request.command,
        "path": path,
        "script": is_script(request, path),
        "env": [f"{name}={value}" for name, value in env.items()],
        "cwd": request.cwd,
        "rows": request.size.rows,
        "columns": request.size.columns,
        "scrollback": options.scrollback,
        "sizePolicy": options.size,
        "writeWithin": options.write_timeout,
        "linger": options.linger,
    }
    try:
        connection = _launch(json.dumps(wanted).encode(), name)
    except OSError as error:
        raise SpawnError(request.command, f"its keeper cannot be started: {error}") from error
    try:
        return greet(connection, _WITHIN)
    except RefusedError as error:
        raise _refused(request, path, error.answer) from error
    except (KeeperError, OSError) as error:
        raise SpawnError(request.command, f"its keeper did not start: {error}") from error


def _launch(request: bytes, name: str) -> socket.socket:
    """Start a keeper called ``name``; return the connection to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with (
            theirs,
            _duplicate_above_2(theirs.fileno()) as connection,
            _memory(request) as fd,
        ):
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, *_PATHS],
                _own_environment(name),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, connection, 0),
                    (os.POSIX_SPAWN_DUP2, fd, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_RDWR, 0),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
            )
        with suppress(ChildProcessError):  # it has forked: the keeper is not our child
            os.waitpid(pid, 0)
    except BaseException:
        ours.close()
        raise
    return ours


def _own_environment(name: str) -> dict[str, str]:
    """Return the environment of the keeper called ``name``.

    Not the identity of a session: where a process of another session has started us, ending that
    session must not end the keeper.
    """
    return {NAME: name} | {key: os.environ[key] for key in _KEPT if key in os.environ}


@contextmanager
def _duplicate_above_2(fd: int) -> Iterator[int]:
    """Duplicate ``fd`` where the child does not overwrite it with its standard descriptors."""
    duplicate = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    try:
        yield duplicate
    finally:
        os.close(duplicate)


@contextmanager
def _memory(data: bytes) -> Iterator[int]:
    """Open a file in memory with ``data``."""
    with open(os.memfd_create("frith-request", os.MFD_CLOEXEC), "w+b") as file:
        file.write(data)
        file.flush()
        with _duplicate_above_2(file.fileno()) as fd:
            yield fd


def _refused(request: SpawnRequest, path: str, answer: wire.Message) -> Exception:
    if "errno" not in answer:
        return SpawnError(request.command, f"its keeper cannot serve: {answer.get('message')}")
    error = OSError(answer["errno"], os.strerror(answer["errno"]))
    if answer["error"] == "cwd":
        reason = f"working directory {request.cwd!r}: {error.strerror}"
        return WorkingDirectoryError(request.command, reason)
    try:
        with refusals(request, path):
            raise error
    except SpawnError as refusal:
        return refusal
