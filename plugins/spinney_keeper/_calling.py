"""Signals to a keeper, which is known by more than its process id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinney_unix.processes import Process, boot_id, pid_namespace, stat_of

_ENDED = "ZX"
"""States of a process that runs no more: where nobody reaps orphans, as in some containers, those
that have ended stay zombies."""


def call(ref: Mapping[str, Any], number: int = 0) -> bool:
    """Send a signal to the keeper that ``ref`` names, or none; tell whether it lives.

    ``False`` also where its process id means nothing: after a reboot, in another pid namespace.

    Raises:
        OSError: there are no descriptors left.
    """
    keeper = ref.get("keeper")
    if not isinstance(keeper, int) or keeper <= 0:
        return False
    if ref.get("bootId") != boot_id() or ref.get("pidNamespace") != pid_namespace():
        return False
    try:
        process = Process(keeper)
    except (ProcessLookupError, OverflowError):
        return False
    try:
        stat = stat_of(keeper)
        if stat is None or stat.state in _ENDED or stat.start_time != ref.get("keeperStart"):
            return False
        process.signal(number)
    finally:
        process.close()
    return True
