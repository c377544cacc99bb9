"""How a keeper begins: with the request that its host left on descriptor 1."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress

from . import wire
from .command import Command, NotStartedError
from .groups import leave_that_of_a_session
from .home import Home, UnsafeDirectoryError
from .keeping import Keeper
from .sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Detach from the host, start the command, and keep it."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if os.fork():
        os._exit(0)
    connection = Socket(fileno=fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3))
    with open(os.dup(1), "rb") as file:
        file.seek(0)
        request = json.load(file)
    _let_go_of_the_host()
    leave_that_of_a_session()
    try:
        home = Home(*(request[part] for part in ("base", "directory", "name", "output")))
    except (OSError, UnsafeDirectoryError) as error:
        _refuse(connection, error="directory", message=str(error))
        return
    try:
        command = Command(request)
    except NotStartedError as error:
        home.leave(collected=True)
        _refuse(connection, error="command", errno=error.number, inDirectory=error.in_directory)
        return
    except OSError as error:
        home.leave(collected=True)
        _refuse(connection, error="terminal", message=str(error))
        return
    os.umask(0o077)
    home.drop_output()
    Keeper(request, home, command, connection).run()


def _let_go_of_the_host() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)
    os.close(nothing)
    os.chdir("/")
    with suppress(OSError), open("/proc/self/comm", "w") as file:
        file.write("frith-keeper")


def _refuse(connection: Socket, **fields: Any) -> None:
    """Answer the host's first request with what went wrong."""
    with suppress(OSError, wire.RubbishError):
        seq = wire.parse(connection.recv(wire.LARGEST)).get("seq")
        connection.send(wire.message(seq=seq, **fields))
