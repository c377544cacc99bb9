"""Control groups of sessions, in which a keeper of another session must not stay."""

from __future__ import annotations

from contextlib import suppress

_PREFIX = "frith-"
_DIGITS = 32


def leave_that_of_a_session() -> None:
    """Leave the control group in which our host runs if it is that of another session's terminal.

    All in it is killed when that session ends. The terminal provider `pty` makes such groups,
    called by terminals; the group around them is its host's, which is where we belong.
    """
    with suppress(OSError, StopIteration):
        with open("/proc/self/cgroup") as file:
            path = next(line[3:].rstrip("\n") for line in file if line.startswith("0::"))
        names = path.split("/")
        first = next(number for number, name in enumerate(names) if _is_of_a_terminal(name))
        with open("/proc/self/mountinfo") as file:
            mounted = next(line.split()[4] for line in file if " - cgroup2 " in line)
        with open("/".join([mounted, *names[1:first], "cgroup.procs"]), "w") as file:
            file.write("0")


def _is_of_a_terminal(name: str) -> bool:
    digits = name.removeprefix(_PREFIX)
    return name != digits and len(digits) == _DIGITS and set(digits) <= set("0123456789abcdef")
