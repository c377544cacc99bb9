"""Files kept aside before the state file is replaced: nothing that may be the only copy goes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from frith.logs import log
from frith_json.salvage import salvage
from frith_os import atomic

MOST = 5
"""Beyond so many corrupt files, those that hold nothing of their own are removed."""


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
    for earlier in files(target, why):
        if earlier.name.endswith(digest) and earlier.read_bytes() == content:
            return str(earlier)
    path = f"{target}.{why}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{digest}"
    try:
        os.link(target, path)
    except OSError:  # a file system without hard links, or one that protects them
        _copy(content, path)
    atomic.sync_directory(os.path.dirname(target))
    return path


def files(target: str, why: str) -> list[Path]:
    """Return the files kept aside for ``target``, oldest first."""
    path = Path(target)
    prefix = f"{path.name}.{why}-"
    return sorted(entry for entry in path.parent.iterdir() if entry.name.startswith(prefix))


def prune(target: str, present: Collection[str]) -> None:
    """Remove the oldest corrupt files beyond :data:`MOST` whose every session is ``present``."""
    try:
        corrupt = files(target, "corrupt")
    except OSError as error:
        log.warning("kept_files_not_pruned", path=target, reason=str(error))
        return
    excess = len(corrupt) - MOST
    for path in corrupt:
        if excess <= 0:
            return
        try:
            found = salvage(path.read_bytes())
            if found.complete and found.sessions and all(s.id in present for s in found.sessions):
                path.unlink()
                excess -= 1
        except OSError as error:
            log.warning("kept_file_not_pruned", path=str(path), reason=str(error))


def _copy(content: bytes, path: str) -> None:
    fd = atomic.open_new(path)
    try:
        atomic.write_all(fd, content)
        atomic.sync(fd)
    except OSError:
        os.unlink(path)
        raise
    finally:
        with suppress(OSError):
            os.close(fd)
