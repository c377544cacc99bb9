"""Who this process is: kept with a session it owns, for diagnosis only."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

from frith.model import Owner


@cache
def _of(pid: int) -> Owner:
    return Owner(
        pid=pid, start_time=_start_time(), boot_id=_boot_id(), host=platform.node() or None
    )


def this_process() -> Owner:
    """Return the identity of this process."""
    return _of(os.getpid())


def _start_time() -> str | None:
    """Field 22 of ``/proc/self/stat``, see proc(5); the second may hold spaces and brackets."""
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
