"""The processes of keepers: signalling them, and finding them even if they do not listen.

A keeper is known by process id *and* start time, because process ids are reused.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from anyio import move_on_after, wait_readable
from pydantic import JsonValue

from frith_keeper.keeper.home import SIGN
from frith_keeper.link import KeeperError
from frith_os.processes import Process, all_pids, environ_of, here, is_here, matching, start_time

MARK = "FRITH_KEEPER=1"
"""Variable in the environment of keepers and of what they are forked from, not of commands."""


def send_signal(ref: Mapping[str, Any], number: int = 0) -> bool:
    """Send a signal to the keeper that ``ref`` names, or none; return whether it lives.

    ``False`` also where its process id means nothing: after a reboot, in another pid namespace.

    Raises:
        OSError: no descriptors are left.
    """
    with _living(ref) as process:
        if process is not None:
            process.signal(number)
        return process is not None


async def end(ref: Mapping[str, Any], within: float) -> bool:
    """Ask the keeper that ``ref`` names to end, and wait for that; return whether it lived.

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
    pid, started = ref.get("keeper"), ref.get("keeperStart")
    found: list[Process] = []
    if isinstance(pid, int) and pid > 0 and is_here(ref):
        with suppress(OverflowError):
            found = matching(lambda pid: start_time(pid) == started, [pid])
    try:
        yield found[0] if found else None
    finally:
        for process in found:
            process.close()


def find_keepers(base: str) -> dict[str, dict[str, JsonValue]]:
    """Return the name of each living keeper of a workspace, with a ref for :func:`send_signal`.

    Reads of every process. A keeper is known by the directory ``base`` that it holds open: one of
    a workspace that was moved is found, one of a copy is not.

    Raises:
        KeeperError: the processes cannot be looked at.
    """
    try:
        place = os.stat(base)
    except OSError:
        return {}
    try:
        pids = all_pids()
    except OSError as error:
        raise KeeperError(f"Cannot look for keepers: {error}. Try again.") from error
    return {
        name: {"keeper": pid, "keeperStart": started, **here()}
        for pid in pids
        if MARK.encode() in (environ_of(pid) or ())
        and (name := _name(pid, place))
        and (started := start_time(pid))
    }


def _name(pid: int, place: os.stat_result) -> str:
    """Return the name of the keeper ``pid`` if it holds the directory ``place`` open, else none."""
    prefix, name, is_there = f"/memfd:{SIGN}", "", False
    with suppress(OSError):  # it has ended, or is another user's
        for fd in os.listdir(f"/proc/{pid}/fd"):
            link = f"/proc/{pid}/fd/{fd}"
            if (target := os.readlink(link)).startswith(prefix):
                name = target.removeprefix(prefix).removesuffix(" (deleted)")
            is_there = is_there or os.path.samestat(os.stat(link), place)
    return name if is_there else ""
