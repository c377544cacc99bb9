"""Small stores on a bare workspace, and the parts of the laboratory that this machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spinney_testing.faults.shim import unavailable

# The process that forks the runs imports the stores by name, from where the path says.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def repository(workspace: Path) -> Path:
    git = ["git", "-C", workspace, "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "-q", "-b", "main", workspace], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    return workspace


@pytest.fixture
def interception() -> None:
    if (reason := unavailable()) is not None:
        pytest.skip(reason)
