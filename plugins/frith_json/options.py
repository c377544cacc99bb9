"""The options of the store ``json``."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import Annotated

from pydantic import AfterValidator, Field

from frith.config import Options

CAN_WATCH = sys.platform == "linux"
"""Whether this platform reports changes of files without polling: Linux, by inotify(7)."""


def _file_name(value: str) -> str:
    path = PurePath(value)
    if "\0" in value or not path.name or ".." in path.parts:
        raise ValueError("must name a file, in the workspace or by an absolute path")
    if path.suffix in (".tmp", ".lock"):
        raise ValueError("must not end in .tmp or .lock, which the store itself uses")
    return value


def _directory(value: str | None) -> str | None:
    if value is not None and ("\0" in value or not PurePath(value).is_absolute()):
        raise ValueError("must be the absolute path of a directory")
    return value


class JsonOptions(Options):
    """Options of the store ``json``."""

    file: Annotated[str, AfterValidator(_file_name)] = ".claude-container-sessions.json"
    """The state file: a path in the workspace, or an absolute one."""
    locks: Annotated[str | None, AfterValidator(_directory)] = None
    """A directory of this machine for the lock files, the same for all that use the workspace. Only
    for a workspace on a network file system without locks that no other machine uses meanwhile."""
    lock_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds to wait for other processes before :class:`~frith.errors.StoreBusyError`."""
    write_timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that a write may take on a slow disk, once it has begun, before
    :class:`~frith.errors.CommitOutcomeUnknownError`."""
