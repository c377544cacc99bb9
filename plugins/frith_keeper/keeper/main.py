"""The start of a keeper, with the request that its host left on descriptor 1."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress

from frith_os.cgroups import leave_group_of_a_terminal
from frith_os.pty import wire

from .command import Command, NotStartedError
from .home import Home
from .inherited import Inherited
from .lifetime import Keeper
from .scope import enter_scope
from .sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Detach from the host, start the command, and keep it."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2:  # also beyond the limit of descriptors, which may have been lowered
            with suppress(OSError):  # it was that of the list
                os.close(fd)
    if os.fork():
        os._exit(0)
    connection = Socket(fileno=fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3))
    with open(os.dup(1), "rb") as file:
        file.seek(0)
        request = json.load(file)
    _release_host()
    leave_group_of_a_terminal()
    if request["manager"]:
        enter_scope(request["manager"], f"frith-keeper-{request['terminal']}.scope")
    inherited = Inherited()
    try:
        home = Home(*(request[part] for part in ("base", "directory", "name", "output")))
        try:
            command = Command(request, inherited)
        except BaseException:
            home.leave(collected=True)
            raise
    except NotStartedError as error:
        _refuse(connection, **error.answer)
        return
    except (OSError, OverflowError) as error:
        _refuse(connection, error="keeper", message=str(error))
        return
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


def _refuse(connection: Socket, **fields: Any) -> None:
    """Answer the host's first request with the reason why the keeper does not serve."""
    with suppress(OSError):
        connection.recv(wire.LARGEST)
        connection.send(wire.message(**fields))
