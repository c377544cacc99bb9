"""A store that reaches a limit of the system, such as a full disk, in the middle of its work.

The limit rises step by step, from nothing to enough, so that every operation reaches it once. Each
time the store must succeed or raise a typed error, keep what was stored before, and be able to
write once the limit is lifted.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import product
from pathlib import Path

import anyio

from frith_testing.faults.limited_store import run_limited, store_something
from frith_testing.faults.machine import mounts
from frith_testing.faults.machine.fresh_process import forked, import_machinery, in_fresh_process
from frith_testing.faults.machine.rlimits import descriptors_left, largest_file
from frith_testing.harness.opening import Opening

_PAGE = 4096
_MOST_STEPS = 200
_UNLIMITED = f"size={64 << 20},nr_inodes=10000"


class Limit(StrEnum):
    """A limit of the system."""

    SPACE = "space"
    """Bytes on the file system: ENOSPC."""
    INODES = "inodes"
    """Inodes on the file system: ENOSPC, for new files only."""
    FILE_SIZE = "file size"
    """RLIMIT_FSIZE of the process: EFBIG, after a short write."""
    DESCRIPTORS = "descriptors"
    """RLIMIT_NOFILE of the process: EMFILE."""
    WRITABILITY = "writability"
    """The file system has become read-only: EROFS."""


_OF_A_FILE_SYSTEM = frozenset({Limit.SPACE, Limit.INODES, Limit.WRITABILITY})


@dataclass(frozen=True, slots=True)
class LimitReport:
    """The result of a run."""

    limit: Limit
    steps: int
    met: int
    """Steps at which the write was refused."""
    violations: tuple[str, ...]


def unavailable(limit: Limit) -> str | None:
    """Return why this machine cannot set ``limit``; ``None`` if it can."""
    return mounts.unavailable() if limit in _OF_A_FILE_SYSTEM else None


def run(opening: Opening, limit: Limit) -> LimitReport:
    """Let the store reach ``limit`` at each step, at its first commit and at a later one.

    Args:
        opening: opens the store. Limits of a file system are tried on a copy of its workspace.
        limit: one that :func:`unavailable` returns ``None`` for.
    """
    return in_fresh_process(_swept, opening, limit)


def _swept(opening: Opening, limit: Limit) -> LimitReport:
    if limit in _OF_A_FILE_SYSTEM:
        mounts.enter_private_mounts()
        _move_into_memory(opening.workspace)
    anyio.run(import_machinery, opening)
    forked(partial(anyio.run, store_something, opening))
    steps = met = fitted = 0
    violations: list[str] = []
    last = 1 if limit is Limit.WRITABILITY else _MOST_STEPS
    for step, warm in product(range(last), (False, True)):
        limiting = _limiting(limit, opening.workspace, step)
        limited = forked(partial(anyio.run, run_limited, opening, limiting, warm))
        where = f"{limit}, step {step}, {'a later' if warm else 'the first'} commit"
        violations += [f"{where}: {what}" for what in limited.violations]
        steps, met = steps + 1, met + limited.refused
        fitted = 0 if limited.refused else fitted + 1
        if violations or fitted == 2:
            break
    return LimitReport(limit, steps, met, tuple(violations))


def _move_into_memory(workspace: Path) -> None:
    """Mount a tmpfs over ``workspace``, with a copy of its content."""
    with tempfile.TemporaryDirectory() as directory:
        copy = shutil.copytree(workspace, Path(directory, "copy"), symlinks=True)
        mounts.mount("tmpfs", workspace, "tmpfs", data=_UNLIMITED)
        shutil.copytree(copy, workspace, symlinks=True, dirs_exist_ok=True)


def _limiting(limit: Limit, workspace: Path, step: int) -> AbstractContextManager[None]:
    match limit:
        case Limit.SPACE | Limit.INODES:
            return _full(workspace, limit, step)
        case Limit.FILE_SIZE:
            return largest_file(step * _PAGE)
        case Limit.DESCRIPTORS:
            return descriptors_left(step)
    return mounts.read_only(workspace)


@contextmanager
def _full(workspace: Path, limit: Limit, left: int) -> Iterator[None]:
    """Leave so many free pages or inodes in a tmpfs."""
    status = os.statvfs(workspace)
    if limit is Limit.SPACE:
        data = f"size={(status.f_blocks - status.f_bfree + left) * status.f_bsize}"
    else:
        data = f"nr_inodes={status.f_files - status.f_ffree + left}"
    mounts.mount("tmpfs", workspace, flags=mounts.REMOUNT, data=data)
    try:
        yield
    finally:
        mounts.mount("tmpfs", workspace, flags=mounts.REMOUNT, data=_UNLIMITED)
