"""The content of a file: read as it was at one moment, and replaced unless it has changed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from frith.errors import CommitOutcomeUnknownError, StoreBusyError, StoreError
from frith_json.places import temporary_names
from frith_os import atomic

ATTEMPTS = 20
"""How often a file that another program keeps changing is read or written again."""
MAX_SIZE = 32 << 20
"""Bytes; a larger file is refused, because parsing one may take forty times as many."""
Identity: TypeAlias = tuple[int, int, int, int, int]
"""What changes when a file's content does: see :func:`identity_of`. A rename changes the last."""


class OvertakenError(Exception):
    """A program that takes no lock has changed the file, or the temporary one, meanwhile."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, and the file that they were read from."""

    data: bytes
    identity: Identity

    @property
    def token(self) -> str:
        """Stands for these very bytes."""
        return hashlib.sha256(self.data).hexdigest()


def identity_of(status: os.stat_result) -> Identity:
    """Return the identity of the file that has this ``status``, times in nanoseconds."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def identity_at(path: str) -> Identity | None:
    """Return the identity of the file at ``path``, ``None`` if there is none.

    Raises:
        StoreError: it cannot be looked at.
    """
    try:
        return identity_of(os.stat(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error


def read_content(path: str) -> Content | None:
    """Return the content of the file ``path``, ``None`` if there is no such file.

    Raises:
        StoreBusyError: it is changed all the time.
        StoreError: it cannot be read; never taken for "no such file".
    """
    try:
        for _ in range(ATTEMPTS):
            fd = open_for_reading(path)
            try:
                before = os.fstat(fd)
                if not stat.S_ISREG(before.st_mode):
                    raise unreadable(path, "it is not a regular file")
                if before.st_size > MAX_SIZE:
                    raise unreadable(path, f"it is larger than {MAX_SIZE >> 20} MiB")
                data = read_all(fd, before.st_size + 1)
                identity = identity_of(os.fstat(fd))
            finally:
                os.close(fd)
            if identity == identity_of(before) and len(data) == before.st_size:
                return Content(data, identity)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    raise restless(path)


def replace_content(
    target: str, content: Sequence[bytes], expected: Identity | None
) -> Identity | None:
    """Replace the content of the file ``target``.

    Args:
        target: the file itself, not a link to it.
        content: the new content, in pieces.
        expected: the file that was read; ``None`` if there was none.

    Returns:
        The new file; ``None`` if another program has changed it already.

    Raises:
        OvertakenError: the file is not the ``expected`` one any more; nothing was changed.
        StoreError: it could not be written; the previous content is intact.
        CommitOutcomeUnknownError: it was written, but may not survive a power cut.
    """
    written: list[Identity] = []

    def verify(temporary: str, status: os.stat_result) -> None:
        written.append(identity_of(status))
        if status.st_size != sum(map(len, content)):
            raise OvertakenError
        require_unchanged(temporary, written[0])
        require_unchanged(target, expected)

    try:
        status = atomic.replace(
            target, content, temporaries=tuple(temporary_names(target)), verify=verify
        )
    except atomic.UnknownOutcomeError as error:
        raise CommitOutcomeUnknownError(
            f"{target!r} was written, but may not survive a power cut: {error.strerror}. "
            "Load again to learn what is stored."
        ) from error
    except OSError as error:
        raise StoreError(
            f"Cannot write {target!r}: {error.strerror or error}. What was stored before is "
            "intact; fix the cause and try again."
        ) from error
    found = identity_of(status)
    return found if found[:-1] == written[0][:-1] else None


def require_unchanged(path: str, expected: Identity | None) -> None:
    """Raise :class:`OvertakenError` unless the file at ``path`` is the ``expected`` one."""
    if identity_at(path) != expected:
        raise OvertakenError


def open_for_reading(path: str) -> int:
    """Open ``path`` without waiting, whatever kind of file it is."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def read_all(fd: int, limit: int) -> bytes:
    """Read from ``fd`` to its end, at most ``limit`` bytes."""
    chunks = []
    while limit > 0 and (chunk := os.read(fd, limit)):
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)


def read_number(fd: int) -> int:
    """Return the number that an open lock file holds, 0 if it holds none."""
    text = os.pread(fd, 64, 0).strip()
    return int(text) if text.isdigit() else 0


def write_number(fd: int, number: int) -> None:
    """Have an open lock file hold ``number``, which never is lower than before."""
    os.pwrite(fd, b"%020d\n" % number, 0)


def number_at(path: str) -> int:
    """Return the number that the lock file at ``path`` holds, 0 if there is none."""
    with suppress(FileNotFoundError):
        fd = open_for_reading(path)
        try:
            return read_number(fd)
        finally:
            os.close(fd)
    return 0


def unreadable(path: str, why: str) -> StoreError:
    """Return the error that says why ``path`` cannot be read."""
    return StoreError(f"Cannot read {path!r}: {why}. Nothing was changed; fix that and try again.")


def restless(path: str) -> StoreBusyError:
    """Return the error that says that another program keeps changing ``path``."""
    return StoreBusyError(
        f"Another program keeps rewriting {path!r} without locking it; nothing was changed. "
        "Stop that program, then try again."
    )
