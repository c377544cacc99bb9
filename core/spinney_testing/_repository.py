"""The repository that tests work in: made once by git, then copied."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def make_repository(path: Path) -> Path:
    """Make a git repository with one commit of the file ``tracked.txt``; return its path.

    Nothing that the machine is set to changes what git makes.
    """
    path.mkdir()
    (path / "tracked.txt").write_text("tracked\n")
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    git = ["git", "-C", str(path), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (
        ["init", "-q", "-b", "main", "--template="],
        ["add", "tracked.txt"],
        ["commit", "-q", "-m", "first"],
    ):
        subprocess.run([*git, *command], check=True, env=env)
    for directory in ("hooks", "info"):  # which the template would have brought
        (path / ".git" / directory).mkdir()
    return path
