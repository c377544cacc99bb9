"""Processes as /proc shows them, and handles that no reused process id can mislead.

See proc_pid_stat(5), proc_pid_environ(5), pidfd_open(2).
"""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

_PROC = "/proc"
_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of this process or system: they tell nothing of the process that was looked at."""


@dataclass(frozen=True, slots=True)
class Stat:
    """Part of ``/proc/PID/stat``."""

    state: str
    """One letter; ``Z`` is a zombie, which runs no more."""
    parent: int
    group: int
    session: int
    start_time: str
    """Clock ticks since boot, as text."""


def _bytes(name: str) -> bytes | None:
    try:
        # Unbuffered and without pathlib: spawning reads here while an event loop waits.
        with open(f"{_PROC}/{name}", "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        if error.errno in _LIMITS:
            raise
        return None


def _text(name: str) -> str | None:
    data = _bytes(name)
    return None if data is None else data.decode(errors="replace")


def stat_of(pid: int) -> Stat | None:
    """Return what the kernel tells of ``pid``; ``None`` if it is gone.

    Raises:
        OSError: there are no descriptors left, so that it cannot be told.
    """
    if (text := _text(f"{pid}/stat")) is None:
        return None
    # The name of the command comes second, in parentheses, and may itself contain anything.
    fields = text.rpartition(")")[2].split()
    return Stat(fields[0], int(fields[1]), int(fields[2]), int(fields[3]), fields[19])


def environ_of(pid: int) -> frozenset[bytes] | None:
    """Return the ``NAME=value`` entries that ``pid`` was started with.

    ``None`` if they cannot be read: it is gone, or another user's.

    Raises:
        OSError: there are no descriptors left, so that it cannot be told.
    """
    data = _bytes(f"{pid}/environ")
    return None if data is None else frozenset(data.split(b"\0"))


def ignores(pid: int, number: int) -> bool:
    """Tell whether ``pid`` ignores a signal; ``False`` if that cannot be told."""
    try:
        status = _text(f"{pid}/status")
    except OSError:
        return False
    if status is None:
        return False
    mask = status.partition("SigIgn:")[2].split(maxsplit=1)[0]
    return bool(int(mask, 16) >> (number - 1) & 1)


def all_pids() -> list[int]:
    """Return the ids of all processes that can be seen."""
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]


def ancestors() -> frozenset[int]:
    """Return this process and its ancestors."""
    found: set[int] = set()
    pid = os.getpid()
    while pid and pid not in found:
        found.add(pid)
        stat = stat_of(pid)
        pid = stat.parent if stat else 0
    return frozenset(found)


def boot_id() -> str | None:
    """Return the identity of this boot, ``None`` if the kernel does not tell."""
    text = _text("sys/kernel/random/boot_id")
    return None if text is None else text.strip()


def pid_namespace() -> str | None:
    """Return the identity of this process's pid namespace, ``None`` if it cannot be told."""
    try:
        return os.readlink(f"{_PROC}/self/ns/pid")
    except OSError:
        return None


class Process:
    """A living process, held by a pidfd: signals reach it or nobody."""

    __slots__ = ("fd", "pid")

    def __init__(self, pid: int) -> None:
        """Hold ``pid``.

        Raises:
            OSError: it is gone, or there are no descriptors left.
        """
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    @property
    def alive(self) -> bool:
        """Whether any of its threads runs: it has neither ended nor become a zombie."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return not poll.poll(0)

    def signal(self, *numbers: int) -> None:
        """Send signals, if it still lives and may be signalled by us."""
        for number in numbers:
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self.fd, number)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)


def matching(belongs: Callable[[int], bool], pids: Iterable[int]) -> list[Process]:
    """Return handles of those of ``pids`` that live and satisfy ``belongs``.

    ``belongs`` is asked once the handle is held: what it says is of the very process that
    signals will reach. The caller closes the handles.

    Raises:
        OSError: there are no descriptors left, so that one that lives may be missing.
    """
    found: list[Process] = []
    try:
        for pid in pids:
            try:
                found.append(Process(pid))
            except OSError as error:
                if error.errno in _LIMITS:
                    raise
                continue
            if not (found[-1].alive and belongs(pid)):
                found.pop().close()
    except BaseException:
        for process in found:
            process.close()
        raise
    return found
