"""Locks between processes: flock(2) on files that others may delete and we never do.

A lock belongs to the open file description: the kernel drops it when its holder dies, other
descriptions in the same process are refused like another process. Descriptors are closed in a
forked child, which would otherwise keep its dead parent's locks alive; exec(3) closes them too.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress

from frith_json import _files

_UNSUPPORTED = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})

_open: set[int] = set()


def _close_in_child() -> None:
    for fd in _open:
        with suppress(OSError):
            os.close(fd)
    _open.clear()


os.register_at_fork(after_in_child=_close_in_child)


def is_unsupported(error: OSError) -> bool:
    """Tell whether ``error`` says that the file system has no locks."""
    return error.errno in _UNSUPPORTED


def opened(path: str) -> int:
    """Open the lock file ``path``, creating it if need be."""
    fd = _files.open_lock(path)
    _open.add(fd)
    return fd


def closed(fd: int) -> None:
    """Unlock and close ``fd``."""
    if fd in _open:  # otherwise a fork has closed it, and the number may be another's
        _open.discard(fd)
        unlock_and_close(fd)


def unlock_and_close(fd: int) -> None:
    """Unlock ``fd`` even if a child between fork(2) and exec(3) shares it, and close it."""
    try:
        with suppress(OSError):
            _files.lock(fd, fcntl.LOCK_UN)
    finally:
        with suppress(OSError):  # the descriptor is gone whatever close(2) says
            _files.close(fd)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Lock ``fd`` if that is possible at once."""
    try:
        _files.lock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class FileLock:
    """An exclusive lock, for one thread at a time.

    Its file also holds the highest revision ever written, by which we know that we have
    written before, even if the state file says nothing of it any more.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._is_retired = False

    def acquire(self) -> None:
        """Wait for the lock, however long.

        Raises:
            FileNotFoundError: the file would have to be opened anew, and the lock is retired.
        """
        while True:
            if self._fd < 0:
                if self._is_retired:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._path)
                self._fd = opened(self._path)
            _files.lock(self._fd, fcntl.LOCK_EX)
            if _files.is_at(self._fd, self._path):
                return
            self.close()

    def retire(self) -> None:
        """Open no file any more; from any thread.

        A thread that waits for the lock when its store is closed may get it long after the
        workspace was deleted. Opening the lock file creates it, and the ``.git`` that it lies in.
        """
        self._is_retired = True

    def release(self) -> None:
        """Let the next one have it."""
        try:
            _files.lock(self._fd, fcntl.LOCK_UN)
        except OSError:
            self.close()  # unlocks as well; what was done under the lock is done

    def note(self, revision: int) -> None:
        """Remember ``revision``; only while locked."""
        _files.write_note(self._fd, f"{revision:020d}\n".encode())

    def noted(self) -> int:
        """Return the highest revision known to have been written, 0 if none is; never waits."""
        with suppress(OSError):
            fd = _files.open_for_reading(self._path)
            try:
                return as_number(_files.read_note(fd))
            finally:
                _files.close(fd)
        return 0

    def noted_by_now(self) -> int:
        """As :meth:`noted`, at less cost; only while locked."""
        with suppress(OSError):
            return as_number(_files.read_note(self._fd))
        return 0

    def close(self) -> None:
        """Close the lock file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            closed(fd)


def as_number(note: bytes) -> int:
    """Return the number that a lock file holds, 0 if it holds none."""
    text = note.strip()
    return int(text) if text.isdigit() else 0
