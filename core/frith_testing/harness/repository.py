"""The git repository of the tests: made once, then copied."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def make_repository(path: Path, files: Mapping[str, str]) -> Path:
    """Make a git repository with one commit of ``files``, texts by name; return its path.

    The git configuration of the system and of the user does not apply.
    """
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    git = ["git", "-C", str(path), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (
        ["init", "-q", "-b", "main", "--template="],
        ["add", "--all"],
        ["commit", "-q", "-m", "first"],
    ):
        subprocess.run([*git, *command], check=True, env=env)
    for directory in ("hooks", "info"):  # part of git's default template
        (path / ".git" / directory).mkdir()
    return path
