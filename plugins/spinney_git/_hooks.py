"""The `post-checkout` hook, run as `git worktree add` runs it (githooks(5))."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from typing import IO

import anyio
from anyio.abc import Process

from spinney.logs import log
from spinney_git._git import Git, clean_environment

_GRACE = 5.0
_TAIL = 2000


async def find_post_checkout(git: Git, path: str) -> str | None:
    """Return the hook of the worktree at ``path``, ``None`` if it has none. One git process."""
    output = await git.read(path, "rev-parse", "--git-path", "hooks")
    directory = os.fsdecode(output.removesuffix(b"\n"))
    hook = os.path.join(path, directory, "post-checkout")
    return hook if os.path.isfile(hook) and os.access(hook, os.X_OK) else None


async def run_post_checkout(hook: str, path: str, commit: str) -> None:
    """Run ``hook`` in the worktree at ``path``, just created at ``commit``.

    One that fails is logged and changes nothing, as with git, which keeps the worktree.
    """
    # A file rather than a pipe: what the hook leaves running must not hold us up.
    with tempfile.TemporaryFile() as output:
        try:
            process = await _start([hook, "0" * len(commit), commit, "1"], path, output)
        except OSError as error:
            log.warning("post_checkout_hook_failed", path=path, output=str(error))
            return
        try:
            code = await process.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
        if code:
            output.seek(max(0, output.tell() - _TAIL))
            said = output.read().decode(errors="backslashreplace")
            log.warning("post_checkout_hook_failed", path=path, exit_code=code, output=said)


async def _start(argv: list[str], path: str, output: IO[bytes]) -> Process:
    with anyio.CancelScope(shield=True):
        for command in (argv, ["/bin/sh", *argv]):
            try:
                return await anyio.open_process(
                    command,
                    cwd=path,
                    env=clean_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                # A script without a first line that names its interpreter.
                if error.errno != errno.ENOEXEC:
                    raise
    raise AssertionError


async def _end(process: Process) -> None:
    if process.returncode is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with anyio.move_on_after(_GRACE):
                await process.wait()
                break
    await process.aclose()
