"""The living keepers of a workspace, found among all processes: also those that do not listen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from pydantic import JsonValue

from frith_keeper._errors import KeeperError
from frith_terminals.processes import all_pids, boot_id, environ_of, pid_namespace, stat_of

NAME = "FRITH_KEEPER"
"""Variable in the environment of a keeper, not of its command: the name of its socket."""


def living(base: str) -> dict[str, dict[str, JsonValue]]:
    """Return how to call the keepers whose workspace has ``base``, by their names.

    Reads of every process. They are told by the directory that they hold open: one of a workspace
    that was moved is found, one of a copy is not.

    Raises:
        KeeperError: the processes cannot be looked at.
    """
    try:
        place = os.stat(base)
    except OSError:
        return {}
    here: dict[str, JsonValue] = {"bootId": boot_id(), "pidNamespace": pid_namespace()}
    return {
        name: {"keeper": pid, "keeperStart": stat.start_time, **here}
        for name, pid in _keepers()
        if _holds(pid, place) and (stat := stat_of(pid))
    }


def _keepers() -> Iterator[tuple[str, int]]:
    prefix = f"{NAME}=".encode()
    try:
        pids = all_pids()
    except OSError as error:
        raise KeeperError(f"Cannot look for keepers: {error}. Try again.") from error
    for pid in pids:
        for entry in environ_of(pid) or ():
            if entry.startswith(prefix):
                yield os.fsdecode(entry.removeprefix(prefix)), pid


def _holds(pid: int, place: os.stat_result) -> bool:
    with suppress(OSError):  # it has ended, or is another user's
        for fd in os.listdir(f"/proc/{pid}/fd"):
            if os.path.samestat(os.stat(f"/proc/{pid}/fd/{fd}"), place):
                return True
    return False
