"""The start of a keeper, with the request that its host left on descriptor 1."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from contextlib import suppress
from functools import partial

from frith_os import keeperwire as wire
from frith_os.cgroups import leave_group_of_a_terminal
from frith_os.pty.child import Child, open_pty, spawn
from frith_os.pty.output import Output

from .home import Home
from .keeping import Keeper
from .serving import Command
from .sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NotStartedError(Exception):
    """The command could not be executed."""

    def __init__(self, error: OSError, *, in_directory: bool) -> None:
        super().__init__(str(error))
        self.number = error.errno
        self.in_directory = in_directory
        """Whether the working directory could not be entered."""


def main() -> None:
    """Detach from the host, start the command, and keep it."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if os.fork():
        os._exit(0)
    connection = Socket(fileno=fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3))
    with open(os.dup(1), "rb") as file:
        file.seek(0)
        request = json.load(file)
    _release_host()
    leave_group_of_a_terminal()
    try:
        home = Home(*(request[part] for part in ("base", "directory", "name", "output")))
    except OSError as error:
        _refuse(connection, error="directory", message=str(error))
        return
    try:
        command = _start(request)
    except NotStartedError as error:
        home.leave(collected=True)
        _refuse(connection, error="command", errno=error.number, inDirectory=error.in_directory)
        return
    except (OSError, OverflowError) as error:
        home.leave(collected=True)
        _refuse(connection, error="terminal", message=str(error))
        return
    os.umask(0o077)
    home.drop_output()
    Keeper(request, home, command, connection).run()


def _release_host() -> None:
    """Keep no descriptor, directory or name of the host."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)
    os.close(nothing)
    os.chdir("/")
    with suppress(OSError), open("/proc/self/comm", "w") as file:
        file.write("frith-keeper")


def _start(request: dict[str, Any]) -> Command:
    """Start the command of ``request`` on a terminal of its own.

    Raises:
        NotStartedError: it cannot be executed.
        OSError, OverflowError: there is no terminal, no memory, no process.
    """
    size = int(request["rows"]), int(request["columns"])
    master, slave, tty = open_pty(*size)
    try:
        output = Output(master, tty, int(request["scrollback"]), size, is_shared=True)
        argv = [os.fsencode(each) for each in request["argv"]]
        env = dict(os.fsencode(each).split(b"=", 1) for each in request["env"])
        _enter(request["cwd"])
        try:
            start = partial(_posix_spawn, env, tty)
            path = os.fsencode(request["path"])
            pid = spawn(start, path, argv, is_script=request["script"])
        except OSError as error:
            raise NotStartedError(error, in_directory=False) from error
        finally:
            os.chdir("/")
    finally:
        os.close(slave)
    return Command(request, Child(pid), output, tty)


def _enter(directory: str) -> None:
    try:
        os.chdir(os.fsencode(directory))
    except OSError as error:
        raise NotStartedError(error, in_directory=True) from error


def _posix_spawn(env: dict[bytes, bytes], tty: str, path: bytes, argv: list[bytes]) -> int:
    """Start ``path`` as leader of a session that the terminal ``tty`` controls."""
    return os.posix_spawn(
        path,
        argv,
        env,
        # Opening it makes it the controlling terminal: the child leads a session without one.
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, tty, os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )


def _refuse(connection: Socket, **fields: Any) -> None:
    """Answer the host's first request with the reason why the keeper does not serve."""
    with suppress(OSError, ValueError):
        seq = wire.parse(connection.recv(wire.LARGEST)).get("seq")
        connection.send(wire.message(seq=seq, **fields))
