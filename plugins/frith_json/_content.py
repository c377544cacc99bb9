"""A file's content as it was at one moment, and what is said where there is none to be had."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from frith.errors import StoreBusyError, StoreError
from frith_json import _files
from frith_json._files import Identity

ATTEMPTS = 20
"""How often a file that somebody else keeps changing is read or written again."""
MAX_SIZE = 32 << 20
"""Bytes; a larger file is none of ours. What a smaller one holds may take forty times as many."""


class OvertakenError(Exception):
    """Somebody who takes no lock has changed the file, or the temporary one, meanwhile."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, and the file that they were read from."""

    data: bytes
    identity: Identity

    @property
    def token(self) -> str:
        """Stands for these very bytes."""
        return hashlib.sha256(self.data).hexdigest()


def content_of(path: str) -> Content | None:
    """Return the content of the file ``path``, ``None`` if there is no such file.

    Raises:
        StoreBusyError: it is changed all the time.
        StoreError: it cannot be told; never taken for "no such file".
    """
    try:
        for _ in range(ATTEMPTS):
            fd = _files.open_for_reading(path)
            try:
                before = _files.status_of(fd)
                if not _files.is_regular(before):
                    raise unreadable(path, "it is no regular file")
                if before.st_size > MAX_SIZE:
                    raise unreadable(path, f"it is larger than {MAX_SIZE >> 20} MiB")
                data = _files.read_all(fd, before.st_size + 1)
                identity = _files.identity_of(_files.status_of(fd))
            finally:
                _files.close(fd)
            if identity == _files.identity_of(before) and len(data) == identity.size:
                return Content(data, identity)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    raise restless(path)


def unreadable(path: str, why: str) -> StoreError:
    """Return the error that says why ``path`` cannot be read."""
    return StoreError(
        f"Cannot read {path!r}: {why}. Nothing was changed; remedy that and try again."
    )


def restless(path: str) -> StoreBusyError:
    """Return the error that says that ``path`` does not come to rest."""
    return StoreBusyError(
        f"{path!r} is changed all the time by a program that takes no lock; nothing was changed. "
        "Stop that program, then try again."
    )
