"""The seam to the operating system: every file operation of this store goes through here.

Named one by one so that a fault laboratory can record them, or make each of them fail. All
raise :class:`OSError` as the system call does.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from contextlib import suppress
from typing import NamedTuple

from frith_unix import private


class Identity(NamedTuple):
    """What changes when a file's content does: stat(2) fields, times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


def identity_of(status: os.stat_result) -> Identity:
    """Return the identity that ``status`` tells of."""
    return Identity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def is_regular(status: os.stat_result) -> bool:
    """Tell whether ``status`` is that of a regular file."""
    return stat.S_ISREG(status.st_mode)


def status(path: str) -> os.stat_result:
    """stat(2), following links."""
    return os.stat(path)


def status_of(fd: int) -> os.stat_result:
    """fstat(2)."""
    return os.fstat(fd)


def is_at(fd: int, path: str) -> bool:
    """Tell whether ``fd`` is the file that ``path`` names now, not one replaced since."""
    try:
        mine, theirs = status_of(fd), status(path)
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino)


def open_for_reading(path: str) -> int:
    """Open ``path`` without waiting, whatever kind of file it is."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def open_new(path: str) -> int:
    """Create ``path`` for writing with mode 0600; it must not exist, not even as a link."""
    return private.open_file(path, os.O_WRONLY | os.O_EXCL)


def open_lock(path: str) -> int:
    """Open the lock file ``path``, creating it and its directories where they are missing.

    Other users can open neither it nor its directory.
    """
    private.make_directory(os.path.dirname(path), parents=True)
    return private.open_file(path, os.O_RDWR | os.O_NONBLOCK)


def read_all(fd: int, limit: int) -> bytes:
    """Read from ``fd`` to its end, at most ``limit`` bytes."""
    chunks = []  # of a regular file one, and joining one costs nothing
    while limit > 0 and (chunk := os.read(fd, limit)):
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)


def read_about(path: str) -> str:
    """Return the text of a file of proc(5)."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data``, however little each write(2) takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def read_note(fd: int) -> bytes:
    """Read the few bytes that a lock file holds."""
    return os.pread(fd, 64, 0)


def write_note(fd: int, note: bytes) -> None:
    """Overwrite the beginning of a lock file."""
    os.pwrite(fd, note, 0)


def sync(fd: int) -> None:
    """Force ``fd`` to the medium; on macOS fsync(2) alone leaves it in the drive's cache."""
    if sys.platform == "darwin":  # pragma: no cover
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def sync_directory(path: str) -> None:
    """Make the names in directory ``path`` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(fd)
    finally:
        os.close(fd)


def take_over_access(fd: int, path: str) -> None:
    """Give ``fd`` the owner, where permitted, and the mode of the file at ``path``, if any."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    mine = os.fstat(fd)
    if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
        with suppress(PermissionError):
            os.fchown(fd, status.st_uid, status.st_gid)
    if stat.S_IMODE(os.fstat(fd).st_mode) != stat.S_IMODE(status.st_mode):
        os.fchmod(fd, stat.S_IMODE(status.st_mode))
    if private.is_root():
        private.give(fd, os.stat(os.path.dirname(path)))


def rename(source: str, target: str) -> None:
    """rename(2): ``target`` is the old or the new file at any moment."""
    os.rename(source, target)


def link(source: str, target: str) -> None:
    """link(2)."""
    os.link(source, target)


def unlink(path: str) -> None:
    """unlink(2)."""
    os.unlink(path)


def close(fd: int) -> None:
    """close(2)."""
    os.close(fd)


def lock(fd: int, operation: int) -> None:
    """flock(2)."""
    fcntl.flock(fd, operation)
