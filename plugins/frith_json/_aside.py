"""Keeping files aside before they are replaced: nothing that may be the only copy goes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from frith.logs import log
from frith_json import _files
from frith_json._salvage import salvage

KEPT = 5
"""Beyond so many corrupt files kept, one that holds nothing of its own may go."""


def keep(target: str, content: bytes, why: str) -> str:
    """Give ``content``, which ``target`` has, a second name beside it.

    Args:
        why: part of that name, ``corrupt`` or ``before-1.0``.

    Returns:
        The path of the file that has the content; an earlier one if it has been kept before.

    Raises:
        OSError: it could not be kept; nothing may be replaced then.
    """
    digest = hashlib.sha256(content).hexdigest()[:16]
    for earlier in kept(target, why):
        if earlier.name.endswith(digest) and earlier.read_bytes() == content:
            return str(earlier)
    path = f"{target}.{why}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{digest}"
    try:
        _files.link(target, path)
    except OSError:  # a file system without hard links, or one that protects them
        _copy(content, path)
    _files.sync_directory(os.path.dirname(target))
    return path


def kept(target: str, why: str) -> list[Path]:
    """Return the files kept aside for ``target``, oldest first."""
    path = Path(target)
    prefix = f"{path.name}.{why}-"
    return sorted(entry for entry in path.parent.iterdir() if entry.name.startswith(prefix))


def prune(target: str, present: Collection[str]) -> None:
    """Remove the oldest corrupt files beyond :data:`KEPT` whose every session is ``present``."""
    try:
        files = kept(target, "corrupt")
    except OSError as error:
        log.warning("kept_files_not_pruned", path=target, reason=str(error))
        return
    excess = len(files) - KEPT
    for path in files:
        if excess <= 0:
            return
        try:
            found = salvage(path.read_bytes())
            if found.complete and found.sessions and all(s.id in present for s in found.sessions):
                _files.unlink(str(path))
                excess -= 1
        except OSError as error:
            log.warning("kept_file_not_pruned", path=str(path), reason=str(error))


def _copy(content: bytes, path: str) -> None:
    fd = _files.open_new(path)
    try:
        _files.write_all(fd, content)
        _files.sync(fd)
    except OSError:
        _files.unlink(path)
        raise
    finally:
        _files.close(fd)
