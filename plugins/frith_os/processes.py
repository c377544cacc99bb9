"""Processes as /proc shows them, and handles that stay valid when a process id is reused.

See proc_pid_stat(5), proc_pid_environ(5), pidfd_open(2).
"""

from __future__ import annotations

import errno
import os
import select
import signal
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_PROC = "/proc"
_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of this process or system, which say nothing about the process that was looked at."""


class Stat:
    """Part of ``/proc/PID/stat``."""

    __slots__ = ("group", "parent", "session", "start_time", "state")

    def __init__(self, fields: list[str]) -> None:
        """Take the fields after the command's name: from the state on."""
        self.state = fields[0]
        """One letter; ``Z`` is a zombie."""
        self.parent, self.group, self.session = map(int, fields[1:4])
        self.start_time = fields[19]
        """Clock ticks since boot, as text."""


def _bytes(name: str) -> bytes | None:
    try:
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
    """Return the state of ``pid``; ``None`` if it is gone.

    Raises:
        OSError: no descriptors are left.
    """
    text = _text(f"{pid}/stat")
    # The name of the command comes second, in parentheses, and may itself contain anything.
    return None if text is None else Stat(text.rpartition(")")[2].split())


def start_time(pid: int) -> str | None:
    """Return when ``pid`` started, in clock ticks since boot; ``None`` if it is gone.

    Raises:
        OSError: no descriptors are left.
    """
    return None if (stat := stat_of(pid)) is None else stat.start_time


def environ_of(pid: int) -> frozenset[bytes] | None:
    """Return the ``NAME=value`` entries that ``pid`` was started with.

    ``None`` if they cannot be read: it is gone, or another user's.

    Raises:
        OSError: no descriptors are left.
    """
    data = _bytes(f"{pid}/environ")
    return None if data is None else frozenset(data.split(b"\0"))


def ignores(pid: int, number: int) -> bool:
    """Return whether ``pid`` ignores a signal; ``False`` if that is unknown."""
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


def here() -> dict[str, str | None]:
    """Return the boot and the pid namespace that process ids of this process belong to."""
    boot, namespace = _text("sys/kernel/random/boot_id"), None
    with suppress(OSError):
        namespace = os.readlink(f"{_PROC}/self/ns/pid")
    return {"bootId": boot and boot.strip(), "pidNamespace": namespace}


def is_here(ref: Mapping[str, object]) -> bool:
    """Return whether process ids of ``ref``, which contains :func:`here`, are valid here."""
    return all(ref.get(name) == value for name, value in here().items())


class Process:
    """A living process, held by a pidfd: signals reach it or no process."""

    __slots__ = ("fd", "pid")

    def __init__(self, pid: int) -> None:
        """Hold ``pid``.

        Raises:
            OSError: it is gone, or no descriptors are left.
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
        """Close the handle."""
        os.close(self.fd)


def matching(belongs: Callable[[int], bool], pids: Iterable[int]) -> list[Process]:
    """Return handles of those of ``pids`` that live and satisfy ``belongs``.

    ``belongs`` is called once the handle is held: its answer is about the very process that
    signals will reach. The caller closes the handles.

    Raises:
        OSError: no descriptors are left, so that one that lives may be missing.
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
