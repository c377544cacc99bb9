"""The `post-checkout` hook, run as `git worktree add` runs it (githooks(5))."""

from __future__ import annotations

import errno
import os
import tempfile
from typing import IO

from frith.logs import log
from frith_git._git import Git, clean_environment
from frith_git._process import run_process

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
            code = await _run([hook, "0" * len(commit), commit, "1"], path, output)
        except OSError as error:
            log.warning("post_checkout_hook_failed", path=path, output=str(error))
            return
        if code:
            output.seek(max(0, output.tell() - _TAIL))
            said = output.read().decode(errors="backslashreplace")
            log.warning("post_checkout_hook_failed", path=path, exit_code=code, output=said)


async def _run(argv: list[str], path: str, output: IO[bytes]) -> int:
    env = clean_environment()
    try:
        code, _, _ = await run_process(argv, cwd=path, env=env, output=output)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without a first line that names its interpreter.
        shell = ["/bin/sh", *argv]
        code, _, _ = await run_process(shell, cwd=path, env=env, output=output)
    return code
