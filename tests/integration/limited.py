"""A host that recovers under a resource limit: ``limited.py WHAT WORKSPACE``.

For each attempt to open the workspace it prints a line with the names of the sessions or the code
of the error.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import anyio

from frith import FrithError, ManagerConfig, SessionManager


async def attempt(workspace: Path) -> bool:
    """Open the workspace once; return whether that succeeded."""
    config = ManagerConfig(workspace=workspace, blocked_plugins=frozenset({"log"}))
    try:
        async with SessionManager(config) as manager:
            names = sorted(session.name for session in manager.get_all_sessions())
            print(*names, flush=True)
            return True
    except FrithError as error:
        print(error, file=sys.stderr)
        print(error.code, flush=True)
    return False


async def import_all(workspace: Path) -> None:
    """Recover a copy first, because it imports modules that cannot be imported under the limit."""
    copy = shutil.copytree(workspace, workspace.with_name("copy"), symlinks=True)
    async with SessionManager(ManagerConfig(workspace=copy)):
        pass


async def files(workspace: Path) -> None:
    """Raise the limit of descriptors by one until it suffices."""
    await import_all(workspace)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    for spare in range(64):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + spare, most))
        if await attempt(workspace):
            return


async def size(workspace: Path) -> None:
    """Allow only files of at most 200 bytes, then any."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
    await attempt(workspace)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await attempt(workspace)


async def full(workspace: Path) -> None:
    """Mount a small file system on the workspace, in our own namespace; fill it, then empty it."""
    copy = workspace.with_name("copy")
    shutil.copytree(workspace, copy, symlinks=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(workspace)]
    subprocess.run(mount, check=True)
    shutil.copytree(copy, workspace, symlinks=True, dirs_exist_ok=True)
    filler = workspace / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    await attempt(workspace)
    filler.unlink()
    await attempt(workspace)
    shutil.copytree(workspace, copy, symlinks=True, dirs_exist_ok=True)


async def access(workspace: Path) -> None:
    """Run without permission to read frith's files, then make them readable."""
    await attempt(workspace)
    for path in (*workspace.glob("*.json"), *workspace.glob(".git/worktrees/*/frith.json")):
        path.chmod(0o600)
    await attempt(workspace)


if __name__ == "__main__":
    anyio.run({f.__name__: f for f in (files, size, full, access)}[sys.argv[1]], Path(sys.argv[2]))
