"""The zygote of a host, from which its keepers are forked: started when one is needed, and ended.

What a process inherits from the one that starts it (limits, niceness, groups, …), a keeper and its
command inherit through the zygote. So one that was started when the host had something else is
replaced. One that has died or hangs is, too: it holds nothing.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import frith_os
from frith_keeper.keeper_processes import MARK
from frith_keeper.link import send_hello
from frith_os.processes import Process
from frith_os.pty import wire

_PROGRAM = "import sys; sys.path += sys.argv[1:3]; from keeper.main import main; main()"
_PATHS = (str(Path(__file__).parent), str(Path(frith_os.__file__).parent.parent))
"""Where the keeper's modules are, searched after the standard library."""
_KEPT = ("LD_LIBRARY_PATH",)
"""Variables without which some interpreters do not start."""
_WITHIN = 3.0
"""Seconds in which a zygote must have forked; then it is replaced."""
_TRIES = 5
_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
_OWN = "/proc/thread-self"
_STATUS = (
    *(b"Umask:", b"Uid:", b"Gid:", b"Groups:", b"Cap", b"NoNewPrivs:", b"Seccomp"),
    b"Cpus_allowed:",
)
_SCHEDULING = (16, 37, 38)
"""Niceness, priority and policy among the fields after the name of proc_pid_stat(5)."""
_LINKS = (
    "root",
    "ns/mnt",
    "ns/net",
    "ns/user",
    "ns/uts",
    "ns/ipc",
    "ns/cgroup",
    "ns/pid_for_children",
)


class Zygote:
    """Forks the keepers of one provider, in any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: _Process | None = None
        self._is_closed = False

    def fork(self, request: bytes) -> socket.socket:
        """Have a keeper forked for ``request``, and greeted; return the connection to it.

        Raises:
            OSError: that cannot be done.
        """
        for _ in range(_TRIES):
            process = self._current()
            with _memory(request) as fd:
                connection = process.fork(fd)
            if connection is not None:
                return connection
            self._discard(process)
        raise OSError("no process can be started from which it would be forked")

    def close(self) -> None:
        """End the zygote; keepers run on."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.end()
                self._process = None

    def _current(self) -> _Process:
        inherited = _inherited()
        with self._lock:
            if self._is_closed:
                raise OSError("the terminal provider is closed")
            if self._process is not None and self._process.inherited != inherited:
                self._process.end()
                self._process = None
            if self._process is None:
                self._process = _Process(inherited)
            return self._process

    def _discard(self, process: _Process) -> None:
        with self._lock:
            if self._process is process:
                self._process = None
                process.end()


class _Process:
    """A process that forks keepers."""

    def __init__(self, inherited: object) -> None:
        self.inherited = inherited
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.settimeout(_WITHIN)
        try:
            with theirs, _duplicate_above_2(theirs.fileno()) as fd:
                program = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, *_PATHS]
                self._pid = os.posix_spawn(
                    sys.executable,
                    [*program, str(os.getpid())],
                    _own_environment(),
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, fd, 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_RDWR, 0),
                        (os.POSIX_SPAWN_DUP2, 1, 2),
                    ],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
                )
            self._handle = Process(self._pid)
        except BaseException:
            self._requests.close()
            raise

    def fork(self, request: int) -> socket.socket | None:
        """Pass on ``request``; return the connection to a keeper, or ``None`` if there is none."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs, suppress(OSError):  # it is gone, or hangs
                send_hello(ours)
                socket.send_fds(self._requests, [b"\0"], [theirs.fileno(), request])
            if not _is_answered(ours):
                wire.take(request)
                ours.close()
                return None
        except PermissionError:  # a keeper has taken it, and takes its time
            pass
        except BaseException:
            ours.close()
            raise
        return ours

    def end(self) -> None:
        """End it at once."""
        self._requests.close()
        self._handle.signal(signal.SIGKILL)
        self._handle.close()
        with suppress(ChildProcessError):  # something else in this process waits for any child
            os.waitpid(self._pid, 0)


def _is_answered(connection: socket.socket) -> bool:
    """Wait for the answer of a keeper, which stays to be read; return whether one has come."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    with suppress(ConnectionError):
        return bool(poll.poll(_WITHIN * 1000) and connection.recv(1, socket.MSG_PEEK))
    return False


def _inherited() -> object:
    """Return what a process that this thread starts now would inherit."""
    status = _own("status").splitlines()
    return (
        _own_environment(),
        [line for line in status if line.startswith(_STATUS)],
        [resource.getrlimit(each) for each in _LIMITS],
        [_own("stat").rpartition(b")")[2].split()[field] for field in _SCHEDULING],
        (_own("oom_score_adj"), _own("cgroup")),
        [_link(name) for name in _LINKS],
    )


def _own(name: str) -> bytes:
    with suppress(OSError), open(f"{_OWN}/{name}", "rb", buffering=0) as file:
        return file.read()
    return b""


def _link(name: str) -> str:
    with suppress(OSError):  # the kernel has no such namespace
        return os.readlink(f"{_OWN}/{name}")
    return ""


def _own_environment() -> dict[str, str]:
    """Return the environment of a zygote and its keepers.

    Not the identity of a session: where a process of another session has started us, ending that
    session must not end the keepers.
    """
    name, _, value = MARK.partition("=")
    return {name: value} | {key: os.environ[key] for key in _KEPT if key in os.environ}


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
    fd = os.memfd_create("frith-request", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(fd, "w+b") as file:
        file.write(data)
        file.flush()
        yield fd
