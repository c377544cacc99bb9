"""The distribution of the mutants: importable here, and installed where the suites run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the tables of mutants
PLUGINS = ("-p", "anyio", "-p", "frith", "-p", "timeout")
"""The only pytest plugins that are needed; loading others takes time."""


@pytest.fixture(scope="session")
def run(
    unpacked: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Run pytest in a new process, with the mutants installed and without our settings."""
    path = [str(unpacked(HERE)), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }

    def run(*arguments: str) -> str:
        directory = tmp_path_factory.mktemp("run")
        own = f"--basetemp={directory / 'own'}"  # pytest deletes old files in the shared one
        plain = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={directory}", own)
        command = [sys.executable, "-m", "pytest", *PLUGINS, *plain, *arguments]
        printed = directory / "printed"
        # A process that a mutant leaves running would keep a pipe open.
        with printed.open("w") as out, suppress(subprocess.TimeoutExpired):
            subprocess.run(command, stdout=out, stderr=out, env=env, cwd=directory, timeout=1800)
        return printed.read_text()

    return run
