"""Which processes hold a lock on a file, for the error of a wait that was too long.

See proc_locks(5) and proc_pid_fdinfo(5); where there is no /proc, nothing can be told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress


def holders(path: str) -> tuple[int, ...]:
    """Return the process ids of those that hold a flock(2) on the file at ``path``.

    Looks at every process if need be: not for an event loop.
    """
    try:
        found = os.stat(path)
    except OSError:
        return ()
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    locks = _lines("/proc/locks")
    listed = {pid for pid, where in map(_flock, locks) if where == f"{device}:{found.st_ino}"}
    living = sorted(pid for pid in listed if _command(pid))
    # The kernel names the process that took the lock. A child that inherited the descriptor
    # holds it on when that has ended: a git whose host was killed, for example.
    return tuple(living or sorted(_with_locked_descriptors(found)))


def described(path: str) -> str:
    """Return who holds the lock on the file at ``path``, to begin a sentence with."""
    named = [f"process {pid} ({_command(pid) or 'ended meanwhile'})" for pid in holders(path)]
    return " and ".join(named).capitalize() or "Another process"


def _flock(line: str) -> tuple[int, str]:
    """Return process id and file of a line of /proc/locks, ``(0, "")`` if it is no flock.

    ``1: FLOCK  ADVISORY  WRITE 4242 fe:00:1234 0 EOF``; an arrow marks one that waits.
    """
    fields = line.split()
    if len(fields) < 6 or fields[1] != "FLOCK":
        return 0, ""
    return int(fields[4]), fields[5]


def _with_locked_descriptors(file: os.stat_result) -> Iterator[int]:
    names: list[str] = []
    with suppress(OSError):  # no /proc, or no descriptors left
        names = os.listdir("/proc")
    for name in filter(str.isdigit, names):
        with suppress(OSError):  # ended, or another user's
            for fd in os.listdir(f"/proc/{name}/fd"):
                if os.path.samestat(os.stat(f"/proc/{name}/fd/{fd}"), file) and any(
                    line.startswith("lock:") for line in _lines(f"/proc/{name}/fdinfo/{fd}")
                ):
                    yield int(name)
                    break


def _command(pid: int) -> str:
    """Return the name of the command that ``pid`` runs; empty if it has ended, a zombie too."""
    # Not its arguments: they may hold secrets, and an error may be logged.
    stat = "".join(_lines(f"/proc/{pid}/stat"))
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return "" if rest.split()[:1] in ([], ["Z"], ["X"]) else name


def _lines(path: str) -> list[str]:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
    return []
