"""Whether git in a session's worktree works on that worktree.

With ``extensions.worktreeConfig`` git applies ``core.worktree`` and ``core.bare`` of the common
configuration to linked worktrees, too (git-worktree(1), "Configuration file"). An agent's
``git checkout`` would then overwrite files of the main worktree, or none would work.
"""

from __future__ import annotations

import os
from contextlib import suppress
from shlex import quote

from frith_git._files import GitFileError, read_bytes
from frith_git._git import Git, GitError
from frith_git._repository import Repository

_EXTENSION = b"worktreeconfig"
_SETTINGS = ("core.worktree", "core.bare")


async def elsewhere(git: Git, repository: Repository, path: str) -> str:
    """Return why git in the worktree at ``path`` works elsewhere; empty if it works there.

    Without the extension no process is run. Git looks for it in the file itself, which includes
    no other (its ``check_repository_format``).
    """
    with suppress(GitFileError):  # git tells why, better than we could
        if _EXTENSION not in (read_bytes(f"{repository.common}/config") or b"").lower():
            return ""
    try:
        found = await git.read(path, "rev-parse", "--show-toplevel")
    except GitError as error:
        return await _explained(git, repository, error.stderr.strip())
    top = os.fsdecode(found.removesuffix(b"\n"))
    if os.path.realpath(top) == os.path.realpath(path):
        return ""
    return await _explained(git, repository, f"its top level is {top!r}")


async def _explained(git: Git, repository: Repository, said: str) -> str:
    lines = []
    config = f"{repository.common}/config"
    for name in _SETTINGS:
        output = await git.read(
            repository.workspace, "config", "--file", config, "--get", name, ok=(0, 1)
        )
        value = os.fsdecode(output.removesuffix(b"\n"))
        if value not in ("", "false"):
            command = f"git --git-dir={quote(repository.common)} config"
            lines += [f"`{command} --worktree {name} {quote(value)}`"]
            lines += [f"`{command} --local --unset {name}`"]
    remedy = f" Move the setting into the main worktree: {', then '.join(lines)}." if lines else ""
    return f"git in it would change files elsewhere ({said}).{remedy}"
