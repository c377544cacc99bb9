"""Files and directories that only their owner can access, whatever the umask and earlier modes.

A lock needs no permission but to open its file (flock(2)): a user who may read a lock file can
hold the lock.

A file that root creates gets the owner of its directory. A container often runs as root
on a repository that is mounted into it, and must not lock the repository's owner out.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

FILE, DIRECTORY = 0o600, 0o700
"""The modes."""
_ROOT = 0


def open_file(path: str, flags: int) -> int:
    """Open ``path``, created if it is missing, never through a symbolic link.

    Raises:
        OSError: as open(2).
    """
    flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return _restricted(os.open(path, flags, FILE), path, FILE)


def open_directory(path: str, *, parents: bool = False) -> int:
    """Open the directory ``path``, made with its missing ``parents`` if wanted.

    Raises:
        OSError: it cannot be made, or is no directory; a symbolic link is none.
    """
    parent = os.path.dirname(path)
    if parents and parent and not os.path.isdir(parent):
        make_directory(parent, parents=True)
    with suppress(FileExistsError):
        os.mkdir(path, DIRECTORY)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return _restricted(os.open(path, flags), path, DIRECTORY)


def make_directory(path: str, *, parents: bool = False) -> None:
    """Make or restrict the directory ``path``; a symbolic link to one is left as it is.

    Raises:
        OSError: see :func:`open_directory`.
    """
    try:
        os.close(open_directory(path, parents=parents))
    except NotADirectoryError:
        if not os.path.isdir(path):
            raise


def restrict_file(path: str) -> None:
    """Restrict the file ``path``, which is there already.

    Raises:
        OSError: as open(2); it is a symbolic link, for example.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    os.close(_restricted(os.open(path, flags), path, FILE))


def _restricted(fd: int, path: str, mode: int) -> int:
    """Give the open file ``fd``, which is at ``path``, its ``mode`` and its owner; return it."""
    try:
        if stat.S_IMODE(os.fstat(fd).st_mode) & 0o777 != mode:
            with suppress(PermissionError):  # another user's: only that user may change it
                os.fchmod(fd, mode)
        if is_root():
            give(fd, os.stat(os.path.dirname(path) or "."))
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_trusted(directory: int, path: str) -> bool:
    """Return whether only this user writes in the open ``directory``, which is at ``path``.

    Root trusts the owner of the directory around it, whose repository that is.
    """
    owner = os.fstat(directory).st_uid
    return owner == os.geteuid() or (is_root() and owner == os.stat(os.path.dirname(path)).st_uid)


def is_root() -> bool:
    """Tell whether this process may give files away."""
    return os.geteuid() == _ROOT


def give(fd: int, directory: os.stat_result) -> None:
    """Give the open file ``fd`` the owner of the ``directory`` that it is in, if it is root's."""
    if may_be_given(os.fstat(fd), directory):
        with suppress(OSError):  # an owner that this user namespace does not know
            os.fchown(fd, directory.st_uid, directory.st_gid)


def may_be_given(found: os.stat_result, directory: os.stat_result) -> bool:
    """Tell whether a file is root's in another user's ``directory``.

    One with a second name may be one of the system's, which the user has linked there.
    """
    is_single = found.st_nlink == 1 or stat.S_ISDIR(found.st_mode)
    return found.st_uid == _ROOT != directory.st_uid and is_single
