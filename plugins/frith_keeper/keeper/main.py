"""The zygote: forks keepers, each for a request of its host, which it does not read itself.

It has loaded what they need, so that a keeper starts quickly and shares most of its memory. It
holds no more than the connection to its host, ends with that, and leaves the reaping of keepers to
the kernel: they outlive both.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import select
import signal
import sys
from contextlib import suppress

from frith_os.cgroups import leave_group_of_a_terminal
from frith_os.pty import wire

from .command import Command, NotStartedError
from .home import Home
from .inherited import Inherited
from .lifetime import Keeper
from .scope import enter_scope
from .sockets import Socket, receive_fds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Fork a keeper for each request on descriptor 0, until the host ends or hangs up."""
    host = int(sys.argv.pop())
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2:  # also beyond the limit of descriptors, which may have been lowered
            with suppress(OSError):  # it was that of the list
                os.close(fd)
    requests = Socket(fileno=fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3))
    _release_host()
    _call_it(b"frith-zygote")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:  # others may hold the connection, too: what the host forks and does not execute
        life = os.pidfd_open(host)
    except ProcessLookupError:
        return
    gc.collect()
    gc.freeze()  # keepers would copy what a collection touches
    while os.getppid() == host:
        ready, _, _ = select.select([requests.fileno(), life], [], [])
        if life in ready or not (fds := receive_fds(requests, 2)):
            return
        if not os.fork():
            requests.close()
            os.close(life)
            _keep(*fds)
            return
        for fd in fds:
            os.close(fd)


def _keep(connection_fd: int, request_fd: int) -> None:
    """Start the command of a request, and keep it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)
    connection = Socket(fileno=connection_fd)
    try:
        wire.take(request_fd)
    except PermissionError:  # the host did not wait any longer
        return
    request = json.loads(os.pread(request_fd, os.fstat(request_fd).st_size, 0).decode())
    os.close(request_fd)
    _call_it(b"frith-keeper")
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
    """Keep no standard descriptor and no directory of the host."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)
    os.close(nothing)
    os.chdir("/")


def _call_it(name: bytes) -> None:
    """Give this process a name in lists of processes."""
    with suppress(OSError), open("/proc/self/comm", "wb", buffering=0) as file:
        file.write(name)


def _refuse(connection: Socket, **fields: Any) -> None:
    """Answer the host's first request with the reason why the keeper does not serve."""
    with suppress(OSError):
        connection.recv(wire.LARGEST)
        connection.send(wire.message(**fields))
