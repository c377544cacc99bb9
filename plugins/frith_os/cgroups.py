"""Control groups: where this process is, and how a keeper leaves the group of a terminal.

See cgroups(7), "Control Group v2".
"""

from __future__ import annotations

import os
from contextlib import suppress

PREFIX = "frith-"
"""Of the names of terminals' groups, before the terminal's id: 32 hexadecimal digits."""


def own_path() -> str:
    """Return the path of this process's group in the hierarchy.

    Raises:
        OSError, StopIteration: there are no groups of version 2.
    """
    with open("/proc/self/cgroup", "rb", buffering=0) as file:
        lines = os.fsdecode(file.read()).splitlines()
    return next(line[3:] for line in lines if line.startswith("0::"))


def mount_point() -> str:
    """Return where the hierarchy is mounted.

    Raises:
        OSError, StopIteration: it is not.
    """
    with open("/proc/self/mountinfo") as file:
        return next(line.split()[4] for line in file if " - cgroup2 " in line)


def leave_group_of_a_terminal() -> None:
    """Leave the group in which our host runs if it is that of another session's terminal.

    Everything in that is killed when its session ends. The group around it is its host's, where
    we belong.
    """
    with suppress(OSError, StopIteration):
        names = own_path().split("/")
        first = next(number for number, name in enumerate(names) if _is_of_a_terminal(name))
        with open("/".join([mount_point(), *names[1:first], "cgroup.procs"]), "w") as file:
            file.write("0")


def _is_of_a_terminal(name: str) -> bool:
    digits = name.removeprefix(PREFIX)
    return name != digits and len(digits) == 32 and set(digits) <= set("0123456789abcdef")
