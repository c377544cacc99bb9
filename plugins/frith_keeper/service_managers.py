"""Service managers that can keep a keeper out of the control group of the program that starts it.

Everything in a control group is killed when its service is restarted, when it runs out of memory,
or at a logout. See systemd.kill(5), systemd.scope(5) and loginctl(1).
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress

from frith_os.cgroups import own_path

_RUNTIME = "/run"
_LINGERING = "/var/lib/systemd/linger"
_ROOT = 0
_UNITS = (".service", ".scope")


def scope_manager() -> str:
    """Return the socket of a manager whose scopes outlive the group of this process, if any.

    The manager of a user ends at the last logout unless the user lingers; a process in the group of
    a login session does not, so it is better off there.
    """
    uid = os.geteuid()
    if not _unit() or not os.path.exists(manager := _manager_of(uid)):
        return ""
    if uid == _ROOT or _lingers(uid) or f"/user@{uid}.service/" in _unit():
        return manager
    return ""


def warnings() -> tuple[str, ...]:
    """Return what threatens keepers that are started by this process, and what to do about it."""
    unit, uid = _unit(), os.geteuid()
    if not unit:
        return ()
    if scope_manager():
        if uid == _ROOT or _lingers(uid):
            return ()
        return (
            "logging out for the last time ends the processes of all sessions: the service manager "
            "of your user ends then, and they are in it; `loginctl enable-linger` prevents that",
        )
    return (
        f"what is started here stays in the control group {unit}, because there is no service "
        "manager that would take it out: restarting or stopping that unit, an out-of-memory kill "
        "of it, or logging out may end the processes of all sessions. `loginctl enable-linger` "
        "gives your user a manager that outlives a logout; in the unit of a service set "
        "KillMode=process and OOMPolicy=continue",
    )


def _manager_of(uid: int) -> str:
    home = _RUNTIME if uid == _ROOT else f"{_RUNTIME}/user/{uid}"
    return f"{home}/systemd/private"


def _lingers(uid: int) -> bool:
    with suppress(KeyError):
        return os.path.exists(f"{_LINGERING}/{pwd.getpwuid(uid).pw_name}")
    return False


def _unit() -> str:
    """Return the control group of this process, or nothing if no service manager made it."""
    with suppress(OSError, StopIteration):
        path = own_path()
        if any(name.endswith(_UNITS) for name in path.split("/")):
            return path
    return ""
