"""The command of a keeper: started on a terminal of its own."""

from __future__ import annotations

import os
import signal
from functools import partial

from frith_os.processes import start_time
from frith_os.pty.child import Child, open_pty, spawn
from frith_os.pty.input import Input
from frith_os.pty.output import Output

from .inherited import Inherited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TURN = 64 * 1024
_RESET = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


class NotStartedError(Exception):
    """The command could not be executed, or its directory not be entered."""

    def __init__(self, what: str, error: OSError) -> None:
        super().__init__(str(error))
        self.answer = {"error": what, "errno": error.errno}


class Command:
    """A process on its terminal, with its input and output."""

    def __init__(self, request: dict[str, Any], inherited: Inherited) -> None:
        """Start the command of ``request``, with what it has ``inherited``.

        Raises:
            NotStartedError: it cannot be executed.
            OSError, OverflowError: there is no terminal, no memory, no process.
        """
        size = int(request["rows"]), int(request["columns"])
        self.master, slave, self.tty = open_pty(*size)
        try:
            scrollback = int(request["scrollback"])
            self.output = Output(self.master, self.tty, scrollback, size, is_shared=True)
            self.child = Child(_spawn(request, inherited, self.tty))
        finally:
            os.close(slave)
        self.start_time = start_time(self.child.pid)
        self.input = Input(self.master, float(request["writeWithin"]), self.output.ring)
        self.exit: dict[str, int] | None = None
        """Its exit code or signal, once it has ended."""
        self.was_shut_down = False
        """Whether the keeper was told to end before that."""

    def read(self) -> None:
        """Read some output: hosts are told and served in between."""
        self.output.read(_TURN)


def _spawn(request: dict[str, Any], inherited: Inherited, tty: str) -> int:
    argv = [os.fsencode(each) for each in request["argv"]]
    env = dict(os.fsencode(each).split(b"=", 1) for each in request["env"])
    path = os.fsencode(request["path"])
    try:
        os.chdir(os.fsencode(request["cwd"]))
    except OSError as error:
        raise NotStartedError("cwd", error) from error
    try:
        with inherited.applied():
            start = partial(_posix_spawn, env, tty)
            return spawn(start, path, argv, is_script=request["script"])
    except OSError as error:
        raise NotStartedError("command", error) from error
    finally:
        os.chdir("/")


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
        setsigdef=_RESET,
    )
