"""Replace a file atomically: it has the old or the new content at any moment.

The new content is written to a temporary file beside it, which fsync(2) makes durable and rename(2)
puts in place; then fsync makes the name in the directory durable. Without the first fsync a power
cut may leave an empty file, without the second it may bring the old file back. A failed fsync marks
its pages clean, so it is never repeated on the same descriptor.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from contextlib import suppress

from frith_os import private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class UnknownOutcomeError(OSError):
    """The file was replaced, but a power cut may bring the previous content back."""


def replace(
    path: str,
    content: Iterable[bytes | memoryview],
    *,
    directory: int | None = None,
    temporaries: Sequence[str] = (),
    mode: int = private.FILE,
    keep_access: bool = True,
    sync_content: bool = True,
    sync_name: bool = True,
    verify: Callable[[str, os.stat_result], None] | None = None,
) -> os.stat_result:
    """Replace the content of ``path``. Without a lock, callers disturb each other.

    What root writes belongs to the owner of the directory.

    Args:
        path: the file itself, not a link to it, which would be replaced.
        content: the new content, in pieces.
        directory: descriptor of the directory that ``path`` and ``temporaries`` are relative to.
        temporaries: names for the temporary file, tried in turn: what occupies one is removed, and
            the next is used if that fails; ``path.tmp`` by default.
        mode: of a new file. Unless it is :data:`private.FILE`, the umask applies.
        keep_access: whether an existing file keeps its mode and, where permitted, its owner.
        sync_content: whether to fsync the content. Without, a power cut may leave an empty file.
        sync_name: whether to fsync the directory. Without, a power cut may bring the old file back.
        verify: called right before the rename with the path of the temporary file and its status
            as written; what it raises ends the call and leaves everything as it was.

    Returns:
        The status of the new file, after the rename.

    Raises:
        UnknownOutcomeError: the file was replaced, but not durably.
        OSError: the previous content is intact.
    """
    fd, temporary = _open_temporary(temporaries or (f"{path}.tmp",), mode, directory)
    try:
        try:
            _set_access(fd, path, directory, mode, keep_access)
            for piece in content:
                write_all(fd, piece)
            written = os.fstat(fd)
            if sync_content:
                sync(fd)
            if verify is not None:
                verify(temporary, written)
            rename(temporary, path, directory, written)
        except BaseException:
            _remove(fd, temporary, directory)
            raise
        try:
            if sync_name:
                sync_directory(os.path.dirname(path), directory)
            return os.fstat(fd)
        except OSError as error:
            raise UnknownOutcomeError(error.errno, error.strerror, path) from error
    finally:
        with suppress(OSError):
            os.close(fd)


def open_new(path: str, mode: int = private.FILE, directory: int | None = None) -> int:
    """Create ``path`` for writing; it must not exist, not even as a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, mode, dir_fd=directory)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of ``data``, however little each write(2) takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync(fd: int) -> None:
    """Force ``fd`` to the medium; on macOS fsync(2) alone leaves it in the drive's cache."""
    if sys.platform == "darwin":  # pragma: no cover
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def sync_directory(path: str, directory: int | None = None) -> None:
    """Make the names in the directory ``path`` durable."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    fd = os.open(path or ".", flags, dir_fd=directory)
    try:
        sync(fd)
    finally:
        os.close(fd)


def rename(source: str, target: str, directory: int | None, written: os.stat_result) -> None:
    """Rename ``source``, whose status is ``written``, to ``target``.

    Raises:
        UnknownOutcomeError: it has happened, though the system reports an error.
        OSError: it has not happened.
    """
    try:
        os.rename(source, target, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        # A network file system may have renamed the file and lost the answer.
        found = None
        with suppress(OSError):
            found = os.stat(target, dir_fd=directory)
        if found is not None and os.path.samestat(found, written):
            raise UnknownOutcomeError(error.errno, error.strerror, target) from error
        raise


def _open_temporary(names: Sequence[str], mode: int, directory: int | None) -> tuple[int, str]:
    for name in names:
        for _ in range(2):
            try:
                return open_new(name, mode, directory), name
            except FileExistsError as error:
                occupied = error
            # A dead writer has left it. It is never written to: it may be a link.
            with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                os.unlink(name, dir_fd=directory)
    raise occupied


def _set_access(fd: int, path: str, directory: int | None, mode: int, keep: bool) -> None:
    mine, old = os.fstat(fd), None
    if keep:
        with suppress(FileNotFoundError):
            old = os.stat(path, dir_fd=directory)
    if old is not None and (mine.st_uid, mine.st_gid) != (old.st_uid, old.st_gid):
        with suppress(OSError):  # not permitted, or an owner that this user namespace does not know
            os.fchown(fd, old.st_uid, old.st_gid)
    wanted = stat.S_IMODE(old.st_mode) if old is not None else mode
    if (old is not None or mode == private.FILE) and stat.S_IMODE(mine.st_mode) != wanted:
        os.fchmod(fd, wanted)
    if private.is_root():
        private.give(fd, os.stat(os.path.dirname(path) or ".", dir_fd=directory))


def _remove(fd: int, temporary: str, directory: int | None) -> None:
    with suppress(OSError):  # unless another program has put its own file there
        if os.path.samestat(os.stat(temporary, dir_fd=directory), os.fstat(fd)):
            os.unlink(temporary, dir_fd=directory)
