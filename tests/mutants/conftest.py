"""The distribution of mutants: importable here, and installed for the suites that run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the tables; installed it is only where a mutant is tested


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory in which the mutants' wheel is unpacked, as an installer would."""
    directory = tmp_path_factory.mktemp("mutants")
    source = directory / "source"
    shutil.copytree(HERE / "spinney_mutants", source / "spinney_mutants")
    shutil.copy(HERE / "pyproject.toml", source)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,) = directory.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(directory / "site")
    return directory / "site"


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run pytest in a process of its own, with the mutants installed and no settings of ours."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        known = os.environ.get("PYTHONPATH")
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(site), known]))}
        own = f"--basetemp={tmp_path / 'own'}"  # not cleared up after, as what all runs share is
        plain = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={tmp_path}", own)
        return subprocess.run(
            [sys.executable, "-m", "pytest", *plain, *arguments],
            capture_output=True,
            text=True,
            env=env,
            cwd=tmp_path,
            timeout=600,  # damaging every bit of a file takes a slow machine minutes
        )

    return run
