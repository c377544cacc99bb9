"""Replacing a file: the old or the new content at any moment, the new one durable on return.

Write to a temporary file beside it, fsync it, rename it over, fsync the directory. Without the
first fsync a power cut leaves an empty file, without the second it may leave the old one. A
failed fsync marks its pages clean, so it is never tried again on the same descriptor.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from frith.errors import CommitOutcomeUnknownError, StoreError
from frith_json import _files
from frith_json._content import OvertakenError
from frith_json._files import Identity
from frith_json._places import temporary_names


@dataclass(slots=True)
class Stats:
    """What a store has cost, in calls."""

    parses: int = 0
    """Contents parsed."""
    writes: int = 0
    """Files replaced."""
    fsyncs: int = 0
    """Calls to fsync(2), of files and directories."""


def replace(
    target: str,
    content: Sequence[bytes],
    expected: Identity | None,
    stats: Stats,
) -> Identity | None:
    """Replace the content of ``target``, keeping its mode and owner; mode 0600 if it is new.

    Args:
        target: path of the file itself, no link to it.
        content: what it shall contain, in pieces.
        expected: what was read before; ``None`` if there was no file.
        stats: counts what is done.

    Returns:
        The identity of the new file; ``None`` if somebody has touched it already.

    Raises:
        OvertakenError: it is not as expected any more; nothing was changed.
        StoreError: it could not be written; the previous content is intact.
        CommitOutcomeUnknownError: it was written, but may not survive a power cut.
    """
    try:
        fd, temporary = _open_temporary(target)
    except OSError as error:
        raise _failed(target, error) from error
    try:
        try:
            mine = _fill(fd, content, target, stats)
            if _present(target) != expected or _present(temporary) != mine:
                raise OvertakenError  # noqa: TRY301 - the one way out that is no failure
            _rename(temporary, target, mine)
        except BaseException:
            with suppress(OSError):
                if _files.is_at(fd, temporary):
                    _files.unlink(temporary)
            raise
        stats.writes += 1
        stats.fsyncs += 1
        try:
            _files.sync_directory(os.path.dirname(target))
            now = _files.identity_of(_files.status_of(fd))
        except OSError as error:
            raise _unknown(target, error) from error
    except OSError as error:
        raise _failed(target, error) from error
    finally:
        with suppress(OSError):
            _files.close(fd)
    untouched = (now.size, now.modified) == (mine.size, mine.modified)
    return now if untouched else None


def _open_temporary(target: str) -> tuple[int, str]:
    for name in temporary_names(target):
        for _ in range(2):
            try:
                return _files.open_new(name), name
            except FileExistsError as error:
                occupied = error
            # Whatever lies there is a dead writer's, we hold the lock: anew, never through it.
            with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                _files.unlink(name)
    raise occupied


def _fill(fd: int, content: Sequence[bytes], target: str, stats: Stats) -> Identity:
    _files.take_over_access(fd, target)
    for piece in content:
        _files.write_all(fd, piece)
    mine = _files.identity_of(_files.status_of(fd))
    if mine.size != sum(map(len, content)):
        raise OvertakenError
    stats.fsyncs += 1
    _files.sync(fd)
    return mine


def _present(path: str) -> Identity | None:
    try:
        return _files.identity_of(_files.status(path))
    except FileNotFoundError:
        return None


def _rename(temporary: str, target: str, mine: Identity) -> None:
    try:
        _files.rename(temporary, target)
    except OSError as error:
        # A network file system may have renamed and lost the answer.
        with suppress(OSError):
            if _files.status(target).st_ino == mine.inode:
                raise _unknown(target, error) from error
        raise


def _failed(target: str, error: OSError) -> StoreError:
    return StoreError(
        f"Cannot write {target!r}: {error.strerror or error}. What was stored before is intact; "
        "remedy that and try again."
    )


def _unknown(target: str, error: OSError) -> CommitOutcomeUnknownError:
    return CommitOutcomeUnknownError(
        f"{target!r} was written, but may not survive a power cut: {error.strerror or error}. "
        "Load again to learn what is stored."
    )
