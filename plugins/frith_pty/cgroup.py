"""A control group for each terminal, where this host may make one.

A process can leave its kernel session with setsid(2) and clear its environment, but it does not
leave its control group by itself. Groups may be made in the part of the tree that was delegated to
this host: see "Control Group v2", section "Delegation", of the kernel's documentation, and
https://systemd.io/CGROUP_DELEGATION.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from frith.logs import log
from frith_os.cgroups import PREFIX, mount_point, own_path

_STARTING = 60.0
"""Seconds within which an empty group may still get its process."""
_DELEGATED = ("trusted.delegate", "user.delegate")
"""Extended attributes by which systemd says that a group's user may divide it."""


class Group:
    """The control group of one terminal."""

    __slots__ = ("_directory", "_line")

    def __init__(self, directory: str, path: str) -> None:
        """Use the group in ``directory``, called ``path`` in ``/proc/PID/cgroup``."""
        self._directory = directory
        self._line = f"0::{path}".encode()

    @classmethod
    def with_process(cls, pid: int, name: str) -> Group | None:
        """Make a group called ``name`` and move ``pid`` into it; ``None`` where that is denied."""
        if (own := _own()) is None:
            return None
        directory, path = own
        _remove_empty(directory)
        group = cls(f"{directory}/{PREFIX}{name}", f"{path.rstrip('/')}/{PREFIX}{name}")
        try:
            os.mkdir(group._directory)
            group._write("cgroup.procs", str(pid))
        except OSError as error:
            log.debug("control_group_not_made", directory=directory, reason=str(error))
            group.remove()
            return None
        return group

    def holds(self, pid: int) -> bool:
        """Return whether ``pid`` is in it, or in a group within."""
        with suppress(OSError), open(f"/proc/{pid}/cgroup", "rb") as file:
            return any(
                line == self._line or line.startswith(self._line + b"/")
                for line in file.read().splitlines()
            )
        return False

    def kill(self) -> None:
        """Kill all processes in it at once, including those that fork meanwhile."""
        with suppress(OSError):
            self._write("cgroup.kill", "1")

    def remove(self) -> None:
        """Remove it if it is empty; otherwise a later terminal does."""
        with suppress(OSError):
            os.rmdir(self._directory)

    def _write(self, name: str, text: str) -> None:
        fd = os.open(f"{self._directory}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _own() -> tuple[str, str] | None:
    """Return directory and path of this process's group if it was delegated, else ``None``."""
    try:
        path = own_path()
        directory = os.path.normpath(f"{mount_point()}/{path}")
    except (OSError, StopIteration):
        return None
    # The root of the whole tree has no cgroup.kill; and root may write everywhere.
    may = os.access(f"{directory}/cgroup.kill", os.F_OK) and all(
        os.access(f"{directory}/{name}", os.W_OK) for name in ("", "cgroup.procs")
    )
    if may and (os.geteuid() or path == "/" or _is_delegated(directory)):
        return directory, path
    return None


def _is_delegated(directory: str) -> bool:
    for name in _DELEGATED:
        with suppress(OSError):
            if os.getxattr(directory, name) == b"1":
                return True
    return False


def _remove_empty(directory: str) -> None:
    """Remove empty groups of dead hosts, and of terminals that ended before their processes."""
    with suppress(OSError):
        for name in os.listdir(directory):
            group = f"{directory}/{name}"
            if name.startswith(PREFIX) and time.time() - os.stat(group).st_mtime > _STARTING:
                with suppress(OSError):
                    os.rmdir(group)
