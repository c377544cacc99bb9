"""Signals to a keeper, which is known by more than its process id."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from anyio import move_on_after, wait_readable

from frith_terminals.processes import Process, boot_id, pid_namespace, stat_of

_ENDED = "ZX"
"""States of a process that runs no more: where nobody reaps orphans, as in some containers, those
that have ended stay zombies."""


def call(ref: Mapping[str, Any], number: int = 0) -> bool:
    """Send a signal to the keeper that ``ref`` names, or none; tell whether it lives.

    ``False`` also where its process id means nothing: after a reboot, in another pid namespace.

    Raises:
        OSError: there are no descriptors left.
    """
    with _living(ref) as process:
        if process is not None:
            process.signal(number)
        return process is not None


async def end(ref: Mapping[str, Any], within: float) -> bool:
    """Ask the keeper that ``ref`` names to end, and wait for that; tell whether it lived.

    It hangs up on its process, and ends when that has; ``within`` seconds are waited.
    """
    with _living(ref) as process:
        if process is not None:
            process.signal(signal.SIGTERM, signal.SIGCONT)
            with move_on_after(within):
                await wait_readable(process.fd)
        return process is not None


@contextmanager
def _living(ref: Mapping[str, Any]) -> Iterator[Process | None]:
    keeper = ref.get("keeper")
    if not isinstance(keeper, int) or keeper <= 0:
        yield None
        return
    if ref.get("bootId") != boot_id() or ref.get("pidNamespace") != pid_namespace():
        yield None
        return
    try:
        process = Process(keeper)
    except (ProcessLookupError, OverflowError):
        yield None
        return
    try:
        stat = stat_of(keeper)
        ended = stat is None or stat.state in _ENDED or stat.start_time != ref.get("keeperStart")
        yield None if ended else process
    finally:
        process.close()
