"""Network file systems whose locks do not reach all machines that use them.

flock(2) succeeds on them, and two machines overwrite each other's changes nevertheless. They are
recognised by proc_pid_mountinfo(5); where that is missing, as on macOS, only by an error of the
lock.
"""

from __future__ import annotations

import os
from pathlib import Path

from frith.errors import StoreError
from frith_json.content import open_for_reading

_UNSHARED = frozenset(
    {"9p", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys"}
)
"""Types of file systems that lock on this machine alone, or report locks that they do not take."""
_UNSHARED_BY_OPTION = {
    "nfs": {"nolock", "local_lock=all", "local_lock=flock"},  # nfs(5)
    "nfs4": {"nolock", "local_lock=all", "local_lock=flock"},
    "cifs": {"nobrl"},  # mount.cifs(8)
    "smb3": {"nobrl"},
    "lustre": {"localflock"},  # mount.lustre(8)
    "gfs2": {"localflocks"},  # gfs2(5)
    "ocfs2": {"localflocks"},
}
"""Types that lock everywhere, and the options with which they were mounted not to."""


class UnsharedLocksError(StoreError):
    """The file system has no locks, or none that reach the other machines that use it."""

    code = "STORE_LOCKS_UNSHARED"

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(
            f"Cannot rely on locks in {where!r}: {reason}. Mount it so that it has locks. If no "
            "other machine uses this workspace meanwhile, name a directory of this machine for "
            "the locks instead: options.store.json.locks."
        )
        self.where = where
        self.reason = reason


def require_shared_locks(path: str) -> None:
    """Check that locks on the file ``path``, which need not exist, reach all machines that use it.

    Raises:
        UnsharedLocksError: they do not.
    """
    kind, options = mount_of(path) or ("", frozenset())
    by_option = _UNSHARED_BY_OPTION.get(kind, set()) & options
    if kind in _UNSHARED or by_option:
        how = "".join(f", mounted with {option}" for option in sorted(by_option))
        reason = f"locks of this {kind} file system{how} do not reach other machines"
        raise UnsharedLocksError(os.path.dirname(path), reason)


def mount_of(path: str) -> tuple[str, frozenset[str]] | None:
    """Return type and options of the mount that ``path`` is on, ``None`` if they are unknown.

    For example ``nfs4`` and ``{"rw", "vers=4.2"}``.
    """
    try:
        here = next(parent for parent in Path(path).parents if parent.is_dir())
        fd = open_for_reading(str(here))
        try:
            about = read_about(f"/proc/self/fdinfo/{fd}").split()
        finally:
            os.close(fd)
        number = about[about.index("mnt_id:") + 1]
        for line in read_about("/proc/self/mountinfo").splitlines():
            first, _, second = line.partition(" - ")
            fields = first.split(" ")
            if fields[0] == number:
                kind, _, options = second.split(" ", 2)
                return kind, frozenset(f"{fields[5]},{options}".split(","))
    except (OSError, ValueError):
        pass
    return None


def read_about(path: str) -> str:
    """Return the text of a file of proc(5)."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
