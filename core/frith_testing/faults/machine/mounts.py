"""Private mounts, which end with their process: mount_namespaces(7)."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from frith_testing.faults.machine.fresh_process import in_fresh_process

READ_ONLY, REMOUNT, BIND = 0x1, 0x20, 0x1000
_RECURSIVE, _PRIVATE = 0x4000, 0x40000
_NEW_MOUNTS, _NEW_USER = 0x20000, 0x10000000
_DETACH = 0x2


def enter_private_mounts() -> None:
    """Give this process, which must have one thread, private mounts, as root or any user.

    Raises:
        OSError: the machine permits neither private mounts nor a user namespace.
    """
    try:
        _call("unshare", _NEW_MOUNTS)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        _call("unshare", _NEW_MOUNTS | _NEW_USER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    mount("none", "/", flags=_RECURSIVE | _PRIVATE)


def mount(source: str, target: str | Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    _call("mount", source.encode(), os.fsencode(target), kind.encode(), flags, data.encode())


def unmount(target: str | Path, flags: int = 0) -> None:
    """umount2(2)."""
    _call("umount2", os.fsencode(target), flags)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Mount ``directory`` read-only over itself: its path is read-only, open files are not.

    This is how a disk error looks. Unlike a remount, it does not require files to be closed.
    """
    mount(str(directory), directory, flags=BIND)
    try:
        mount("none", directory, flags=BIND | REMOUNT | READ_ONLY)
        yield
    finally:
        unmount(directory, _DETACH)


@cache
def unavailable() -> str | None:
    """Return why this machine does not permit private mounts; ``None`` if it does."""
    if sys.platform != "linux":
        return f"private mounts need Linux, not {sys.platform}"
    return in_fresh_process(_refusal)


def _refusal() -> str | None:
    try:
        enter_private_mounts()
    except OSError as error:
        return f"neither root nor a user namespace may mount on this machine: {error}"
    return None


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}(2): {os.strerror(number)}")
