"""Small files of git's: read whole, replaced whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from frith.errors import WorkspaceError
from frith_unix import private

_BLOCK = 65536


class GitFileError(WorkspaceError):
    """One of git's files cannot be read or written, so that nothing can be told from it.

    Attributes:
        path: the file or directory.
        reason: what the system says.
    """

    code = "GIT_FILE"

    def __init__(self, path: str, error: OSError) -> None:
        self.path = os.fsencode(path).decode(errors="backslashreplace")
        self.reason = error.strerror or str(error)
        super().__init__(f"Cannot access {self.path!r}: {self.reason}. Mend that, then try again.")


@contextmanager
def accessing(path: str) -> Iterator[None]:
    """Turn an ``OSError`` of the block into a :class:`GitFileError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise GitFileError(path, error) from error


def read_bytes(
    path: str, *, is_trusted: Callable[[os.stat_result], bool] | None = None
) -> bytes | None:
    """Return the content of a small file, ``None`` if there is none; empty if it is not trusted.

    Raises:
        GitFileError: there may be one, but it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise GitFileError(path, error) from error
    try:
        if is_trusted is not None and not is_trusted(os.fstat(descriptor)):
            return b""
        content = block = os.read(descriptor, _BLOCK)
        while len(block) == _BLOCK:
            block = os.read(descriptor, _BLOCK)
            content += block
    except OSError as error:
        raise GitFileError(path, error) from error
    finally:
        with suppress(OSError):  # it was only read
            os.close(descriptor)
    return content


def names_in(path: str) -> list[str]:
    """Return the names of what is in the directory ``path``, sorted.

    Raises:
        GitFileError: they cannot be read.
    """
    with accessing(path):
        return sorted(os.listdir(path))


def touch(path: str) -> None:
    """Create the empty file ``path``, for its owner alone, or set its times to now.

    Raises:
        GitFileError: that failed.
    """
    with accessing(path):
        os.close(private.open_file(path, os.O_WRONLY | os.O_TRUNC))


def replace(path: str, content: bytes, *, durable: bool = True, is_private: bool = False) -> None:
    """Replace the file ``path`` by one with ``content`` in one step.

    It keeps its mode, or is for its owner alone if it ``is_private``.

    The new file lies beside it as ``path.tmp`` meanwhile; a stale one is overwritten. Whoever
    calls holds a lock. Without ``durable`` a power cut may bring the old content back, never a
    broken one.

    Raises:
        OSError: it could not be written, and the old content is in place. ``FileNotFoundError``
            means that there is no such directory.
    """
    temporary = f"{path}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, private.FILE if is_private else 0o666)
    try:
        try:
            if is_private:
                private.restrict(descriptor, path, private.FILE)
            else:
                with suppress(FileNotFoundError):
                    os.fchmod(descriptor, os.stat(path).st_mode & 0o777)
                if private.is_root():
                    private.give(descriptor, os.stat(os.path.dirname(path)))
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            _flush(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _flush(descriptor: int) -> None:
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fsync(descriptor)
    else:  # pragma: no cover - macOS, whose fsync does not flush the drive (fcntl(2))
        fcntl.fcntl(descriptor, full)
