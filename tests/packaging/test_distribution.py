"""What is published. Run by ``tox -e pkg``, which builds it into ``$FRITH_DIST`` first."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tomllib
import zipfile
from contextlib import chdir
from pathlib import Path

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _built(pattern: str) -> Path:
    [found] = Path(os.environ["FRITH_DIST"]).glob(pattern)
    return found


def test_the_wheel_holds_exactly_the_packages() -> None:
    packages = [
        ROOT / path for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    ]
    expected = {
        path.relative_to(package.parent).as_posix()
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(_built("*.whl")) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == expected
    assert {f"{package.name}/py.typed" for package in packages} <= held


def test_the_wheel_declares_the_built_in_plugins_by_entry_points() -> None:
    with zipfile.ZipFile(_built("*.whl")) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
        declared = wheel.read(name).decode()
    for plugin, module in PROJECT["project"]["entry-points"]["frith.plugins"].items():
        assert f"{plugin} = {module}\n" in declared


def test_the_sdist_builds_the_same_wheel_as_the_checkout(tmp_path: Path) -> None:
    with chdir(ROOT):
        from_checkout = tmp_path / build_wheel(str(tmp_path))
    from_sdist = _built("*.whl")
    assert from_checkout.name == from_sdist.name
    assert from_checkout.read_bytes() == from_sdist.read_bytes()


def test_the_sdist_holds_what_the_checks_need() -> None:
    with tarfile.open(_built("*.tar.gz")) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "tox.ini",
        ".importlinter",
        "tests/requirements.toml",
        "docs/conf.py",
        "LICENSE",
    } <= held


@pytest.mark.timeout(300)
def test_the_first_command_of_the_readme_works(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    [command] = re.findall(r"^python3 -m venv .*frith demo$", readme, re.MULTILINE)
    elsewhere = command.replace(".venv", str(tmp_path / "venv"))
    ran = subprocess.run(
        elsewhere,
        shell=True,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert ran.returncode == 0, ran.stdout
