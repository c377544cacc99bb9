"""The processes of the system, as the kernel shows them.

See proc_pid_stat(5), proc_pid_status(5), proc_pid_environ(5) and proc_pid_fd(5).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from frith.model import SessionId

_PROC = Path("/proc")
_ENDED = "ZXx"
"""States of a process that has ended."""


@dataclass(frozen=True, slots=True)
class Stat:
    """Part of ``/proc/PID/stat``."""

    state: str
    """One letter; ``Z`` is a zombie."""
    parent: int
    group: int
    session: int
    terminal: int
    """Device number of the controlling terminal; 0 if it has none."""


class Processes:
    """Looks up processes; one that has ended meanwhile is left out."""

    @staticmethod
    def are_shown() -> bool:
        """Return whether this system has ``/proc``."""
        return (_PROC / "self" / "stat").exists()

    def of(self, session_id: SessionId) -> set[int]:
        """Return the running processes that were started for a session."""
        entry = f"FRITH_SESSION_ID={session_id}"
        return self._where(lambda pid, stat: entry in self.environment(pid))

    def zombies(self) -> set[int]:
        """Return the children of this process that have ended and were not waited for."""
        me = os.getpid()
        return self._where(lambda _, stat: stat.parent == me, ended=True)

    def stat(self, pid: int) -> Stat | None:
        """Return the status of ``pid``; ``None`` if it does not exist."""
        text = _read(pid, "stat").decode(errors="replace")
        # "PID (COMMAND) STATE …": the name of the command may contain spaces and parentheses.
        fields = text.rpartition(")")[2].split()
        return Stat(fields[0], *map(int, fields[1:5])) if fields else None

    def runs(self, pid: int) -> bool:
        """Return whether ``pid`` exists and has not ended."""
        stat = self.stat(pid)
        return stat is not None and stat.state not in _ENDED

    def environment(self, pid: int) -> list[str]:
        """Return the ``NAME=value`` entries that ``pid`` was started with."""
        return _read(pid, "environ").decode(errors="surrogateescape").split("\0")

    def directory(self, pid: int) -> Path:
        """Return the working directory of ``pid``."""
        return (_PROC / str(pid) / "cwd").readlink()

    def descriptors(self, pid: int) -> dict[int, str]:
        """Return the open descriptors of ``pid``, and the file of each."""
        found: dict[int, str] = {}
        with suppress(FileNotFoundError, NotADirectoryError):
            for link in (_PROC / str(pid) / "fd").iterdir():
                with suppress(FileNotFoundError):
                    found[int(link.name)] = str(link.readlink())
        return found

    def threads(self) -> int:
        """Return the number of threads of this process."""
        return len(list((_PROC / "self" / "task").iterdir()))

    def signals(self, pid: int, kind: str) -> set[int]:
        """Return the signals that ``pid`` ignores (``SigIgn``) or blocks (``SigBlk``)."""
        status = _read(pid, "status").decode(errors="replace")
        mask = int(status.partition(f"{kind}:")[2].split(maxsplit=1)[0], 16)
        return {bit + 1 for bit in range(mask.bit_length()) if mask >> bit & 1}

    def _where(self, matches: Callable[[int, Stat], bool], *, ended: bool = False) -> set[int]:
        pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
        return {
            pid
            for pid in pids
            if (stat := self.stat(pid)) is not None
            and (stat.state in _ENDED) is ended
            and matches(pid, stat)
        }


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
