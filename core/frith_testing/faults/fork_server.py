"""A process with the shim and all imports loaded, which forks a child for each run.

A child costs a few milliseconds, a new interpreter a hundred times that. The server has one thread,
opens nothing and ends with its owner.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from frith_testing.faults.scenario import ViolationError
from frith_testing.faults.shim import preloaded

_FRAME = struct.Struct("=cI")
_FRAMES = 5
"""How many of the innermost frames of a traceback are reported."""
_ENDING = 30.0
"""Seconds that a server has to end before it is killed."""


@dataclass(slots=True)
class Outcome:
    """How a run in a child ended."""

    reported: list[str] = field(default_factory=list)
    """The texts that the child sent, in order; complete even if it was killed."""
    hit: str | None = None
    """The system call that met the fault, if any."""
    result: Any = None
    """The return value of the function."""
    error: str | None = None
    """The message of a ``ViolationError`` that it raised, or the traceback of anything else."""
    signal: int | None = None
    """The number of the signal that killed it."""
    timed_out: bool = False

    @property
    def failure(self) -> str | None:
        """Why it failed; ``None`` if it did not."""
        if self.timed_out:
            return "it hung"
        if self.signal is not None:
            return f"it was killed by {signal.Signals(self.signal).name}"
        return self.error


class Channel:
    """Sends frames from a child to the server."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def report(self, text: str) -> None:
        """Send ``text``, at once."""
        self.send(b"T", text.encode(errors="backslashreplace"))

    def send(self, tag: bytes, payload: bytes) -> None:
        """Send one frame."""
        rest = memoryview(_FRAME.pack(tag, len(payload)) + payload)
        while rest:
            rest = rest[os.write(self.fd, rest) :]


class ForkServer:
    """Runs functions in children of one process; made by :func:`fork_server`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, function: Callable[..., Any], *args: Any, timeout: float) -> Outcome:
        """Call ``function(channel, *args)`` in a new child and wait for its end.

        The function and its arguments must be picklable. Processes of the child are killed.

        Args:
            function: its first argument is the :class:`Channel`.
            args: its other arguments.
            timeout: seconds without a frame after which the child counts as hanging.

        Raises:
            RuntimeError: the server has failed.
        """
        self._connection.send_bytes(pickle.dumps((function, args)))
        self._connection.send(timeout)
        try:
            answer = self._connection.recv()
        except EOFError:
            raise RuntimeError("the fork server has failed; its traceback is on stderr") from None
        assert isinstance(answer, Outcome)
        return answer


@contextlib.contextmanager
def fork_server() -> Iterator[ForkServer]:
    """Run a fork server while the context is open.

    Raises:
        RuntimeError: this machine cannot intercept system calls.
    """
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    env = {**os.environ, **preloaded(), "PYTHONPATH": path}
    mine, theirs = _connected()
    with mine:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                env=env,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        try:
            yield ForkServer(mine)
        finally:
            mine.close()
            try:
                process.wait(_ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _connected() -> tuple[Connection, Connection]:
    from multiprocessing import Pipe

    return Pipe()


def explained(error: BaseException) -> str:
    """Return the message of a ``ViolationError``, the end of the traceback of anything else."""
    if isinstance(error, ViolationError) and str(error):
        return str(error)
    return "".join(traceback.format_exception(error, limit=-_FRAMES))


def _serve(connection: Connection) -> None:
    with contextlib.suppress(EOFError):
        while True:
            request = connection.recv_bytes()
            timeout = connection.recv()
            outcome, modules = _forked(request, timeout)
            connection.send(outcome)
            for module in modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(module)
            if modules:
                gc.collect()
                gc.freeze()


def _forked(request: bytes, timeout: float) -> tuple[Outcome, list[str]]:
    """Run the request in a child; return its outcome, and the modules that it imported."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be_child(request, Channel(writing))
    os.close(writing)
    try:
        content, timed_out = _drained(reading, pid, timeout)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    outcome = Outcome(timed_out=timed_out)
    if os.WIFSIGNALED(status) and not timed_out:
        outcome.signal = os.WTERMSIG(status)
    return outcome, _understood(content, outcome)


def _be_child(request: bytes, channel: Channel) -> None:
    known = set(sys.modules)
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        function, args = pickle.loads(request)  # noqa: S301 - our own parent's
        channel.send(b"R", pickle.dumps(function(channel, *args)))
    except BaseException as error:
        channel.send(b"E", explained(error).encode(errors="backslashreplace"))
    finally:
        channel.send(b"M", pickle.dumps([name for name in sys.modules if name not in known]))
        os._exit(0)


def _drained(fd: int, pid: int, timeout: float) -> tuple[bytes, bool]:
    """Return everything that the child writes to ``fd`` until it ends, and whether it hung."""
    content = bytearray()
    end = time.monotonic() + timeout
    block = b""
    os.set_blocking(fd, False)
    process = os.pidfd_open(pid)
    try:
        while True:
            ready, _, _ = select.select([fd, process], [], [], max(0.0, end - time.monotonic()))
            with contextlib.suppress(BlockingIOError):
                while block := os.read(fd, 1 << 20):
                    content += block
                    end = time.monotonic() + timeout
            if not ready or process in ready:
                return bytes(content), not ready
            if fd in ready and not block:  # the child has closed it and is about to end
                select.select([process], [], [], max(0.0, end - time.monotonic()))
    finally:
        os.close(process)


def _understood(content: bytes, outcome: Outcome) -> list[str]:
    modules: list[str] = []
    position = 0
    while position + _FRAME.size <= len(content):
        tag, size = _FRAME.unpack_from(content, position)
        payload = content[position + _FRAME.size : position + _FRAME.size + size]
        position += _FRAME.size + size
        match tag:
            case b"T":
                outcome.reported.append(payload.decode())
            case b"H":
                outcome.hit = os.fsdecode(payload)
            case b"R":
                outcome.result = pickle.loads(payload)  # noqa: S301 - our own child's
            case b"E":
                outcome.error = payload.decode()
            case b"M":
                modules = pickle.loads(payload)  # noqa: S301 - our own child's
    return modules


if __name__ == "__main__":
    from frith_testing.faults import fork_server as this

    with Connection(int(sys.argv[1])) as connection:
        this._serve(connection)
