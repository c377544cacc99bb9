"""Locks between processes: flock(2) on files that other programs may delete, but not frith.

A lock belongs to the open file description: the kernel releases it when its holder dies, and other
descriptions in the same process are refused like another process. Once a file is locked it is
compared with the one at its path, because it may have been deleted meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
from contextlib import suppress

from frith_os import private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_UNSUPPORTED = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})

_open: set[int] = set()


def _close_in_child() -> None:
    # A forked child would keep the locks of its dead parent. exec(3) closes the descriptors, too.
    for fd in _open:
        with suppress(OSError):
            os.close(fd)
    _open.clear()


os.register_at_fork(after_in_child=_close_in_child)


class FileLock:
    """A lock on the file ``path``, for one thread at a time."""

    def __init__(
        self, path: str, *, create: bool = True, own_directory: bool = True, parents: bool = True
    ) -> None:
        """Prepare the lock; nothing is opened yet.

        Args:
            path: the lock file.
            create: whether to create the file, and its directory, where they are missing.
            own_directory: whether to deny other users an existing directory of the file.
            parents: whether to create missing parents of the directory, too.
        """
        self.path = path
        self.fd = -1
        """The descriptor of the open file; negative if there is none."""
        self._create = create
        self._own_directory = own_directory
        self._parents = parents
        self._is_retired = False

    def acquire(self, *, shared: bool = False) -> None:
        """Wait for the lock, however long: call it in a thread, and see :class:`Waiting`.

        Raises:
            OSError: the file cannot be opened, or its file system has no locks.
        """
        while not self._lock(fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            pass

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Acquire the lock if that is possible at once, and tell whether it was.

        Raises:
            OSError: as :meth:`acquire`.
        """
        try:
            while not self._lock((fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB):
                pass
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Release the lock, also where a child process has inherited it, and keep the file open."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_UN)
        except OSError:
            self.close()  # releases it as well

    def close(self) -> None:
        """Close the file. That releases the lock unless a child process has inherited it."""
        fd, self.fd = self.fd, -1
        if fd in _open:  # otherwise a fork has closed it, and the number may be another file's
            _open.discard(fd)
            with suppress(OSError):  # the descriptor is gone whatever close(2) says
                os.close(fd)

    def retire(self) -> None:
        """Open no file any more; from any thread. Later attempts raise ``FileNotFoundError``.

        A thread that waits for the lock may get it long after the directory was deleted, and must
        not create it anew.
        """
        self._is_retired = True

    def _lock(self, operation: int) -> bool:
        """Lock the file; close it and return false if it is no longer the one at the path."""
        if self.fd < 0:
            self.fd = self._opened()
            _open.add(self.fd)
        fcntl.flock(self.fd, operation)
        if is_at(self.fd, self.path):
            return True
        self.close()
        return False

    def _opened(self) -> int:
        if self._is_retired:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
        if not self._create:
            return os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        directory = os.path.dirname(self.path)
        if self._own_directory or not os.path.isdir(directory):
            private.make_directory(directory, parents=self._parents)
        return private.open_file(self.path, os.O_RDWR | os.O_NONBLOCK)


class Waiting:
    """A wait for ``lock`` in a thread of its own, for callers that must not block.

    flock(2) waits in the kernel, because a process that polls may starve. Such a wait cannot be
    interrupted, but it can be abandoned: leaving the context by an error, such as a timeout, has
    the thread close ``lock``, which is of no further use then::

        with Waiting(lock) as waiting:
            with anyio.fail_after(60):
                await anyio.wait_readable(waiting.socket)
            waiting.result()
    """

    def __init__(self, lock: FileLock, *, shared: bool = False) -> None:
        self.socket, self._sender = socket.socketpair()
        """Becomes readable when the wait has ended."""
        self._lock = lock
        self._shared = shared
        self._error: OSError | None = None
        self._decided = threading.Lock()
        """Acquired by the thread once it has the lock, or by the caller that gives up before."""
        threading.Thread(target=self._wait, name="frith-lock", daemon=True).start()

    def result(self) -> None:
        """Return if the lock was acquired, once :attr:`socket` is readable.

        Raises:
            OSError: as :meth:`FileLock.acquire`.
        """
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None and not self._decided.acquire(blocking=False):
            self._lock.close()  # the thread has acquired it meanwhile
        self.socket.close()

    def _wait(self) -> None:
        try:
            self._lock.acquire(shared=self._shared)
        except OSError as error:
            self._error = error
        if not self._decided.acquire(blocking=False):
            self._lock.close()
        self._sender.close()


def is_at(fd: int, path: str) -> bool:
    """Tell whether the file ``fd`` is the one that is at ``path`` now."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def is_unsupported(error: OSError) -> bool:
    """Tell whether ``error`` says that the file system has no locks."""
    return error.errno in _UNSUPPORTED


def holders(path: str) -> tuple[int, ...]:
    """Return the ids of the processes that hold a flock(2) on the file at ``path``.

    Reads of every process if need be, so it does not belong in an event loop. See proc_locks(5) and
    proc_pid_fdinfo(5); where there is no /proc, nothing can be told.
    """
    try:
        found = os.stat(path)
    except OSError:
        return ()
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    locks = _lines("/proc/locks")
    listed = {pid for pid, where in map(_flock, locks) if where == f"{device}:{found.st_ino}"}
    living = sorted(pid for pid in listed if _command(pid))
    # The kernel names the process that acquired the lock. A child that inherited the descriptor
    # holds it on when that has ended: a git whose host was killed, for example.
    return tuple(living or sorted(_with_locked_descriptors(found)))


def describe_holders(path: str) -> str:
    """Return the holders of the lock on the file at ``path``, as the beginning of a sentence."""
    named = [f"process {pid} ({_command(pid) or 'ended meanwhile'})" for pid in holders(path)]
    return " and ".join(named).capitalize() or "Another process"


def _flock(line: str) -> tuple[int, str]:
    """Return process id and file of a line of /proc/locks, ``(0, "")`` if it is not a flock.

    ``1: FLOCK  ADVISORY  WRITE 4242 fe:00:1234 0 EOF``; an arrow marks one that waits.
    """
    fields = line.split()
    if len(fields) < 6 or fields[1] != "FLOCK":
        return 0, ""
    return int(fields[4]), fields[5]


def _with_locked_descriptors(file: os.stat_result) -> Iterator[int]:
    names: list[str] = []
    with suppress(OSError):  # no /proc, or no descriptors left
        names = os.listdir("/proc")
    for name in filter(str.isdigit, names):
        with suppress(OSError):  # ended, or another user's
            for fd in os.listdir(f"/proc/{name}/fd"):
                if os.path.samestat(os.stat(f"/proc/{name}/fd/{fd}"), file) and any(
                    line.startswith("lock:") for line in _lines(f"/proc/{name}/fdinfo/{fd}")
                ):
                    yield int(name)
                    break


def _command(pid: int) -> str:
    """Return the name of the command that ``pid`` runs; empty if it has ended, a zombie too."""
    # Not its arguments: they may hold secrets, and an error may be logged.
    stat = "".join(_lines(f"/proc/{pid}/stat"))
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return "" if rest.split()[:1] in ([], ["Z"], ["X"]) else name


def _lines(path: str) -> list[str]:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
    return []
