"""What tests of the command share: real repositories, and an environment of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Git = Callable[..., str]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the environment and the git configuration of whoever runs the tests."""
    for name in os.environ:
        if name.startswith(("SPINNEY_", "GIT_")) or name == "WORKSPACE_ROOT":
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Nobody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "nobody@example.org")


@pytest.fixture
def git() -> Git:
    def run(directory: Path, *arguments: str) -> str:
        command = ["git", "-c", "protocol.file.allow=always", "-C", directory, *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    return run


@pytest.fixture
def repository(tmp_path: Path, git: Git) -> Path:
    """A repository with one commit, and not where the test runs."""
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    (path / "README").write_text("Read me.\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "First")
    return path
