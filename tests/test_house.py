"""The shape of the repository itself: what lies where, who loads whom."""

from __future__ import annotations

import ast
import configparser
import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((*ROOT.glob("core/**/*.py"), *ROOT.glob("plugins/**/*.py")))
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/__init__.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ANNOUNCED = sorted(PROJECT["entry-points"]["frith.plugins"].values())

TOP_LEVEL = {
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "core",
    "docs",
    "plugins",
    "pyproject.toml",
    "tests",
    "tox.ini",
}
MOST_LINES = 400
MOST_MODULES = 14
HOME_OF_SOMEBODY = re.compile(r"(?<![\w.}*])/(?:root|work|home/\w+|Users/\w+)/")


def _tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z"],
        capture_output=True,
        check=True,
        text=True,
    )
    return [Path(name) for name in listed.stdout.split("\0") if name]


def _loaded_by(statement: str) -> list[str]:
    """Return the names of the modules that are loaded once ``statement`` has run."""
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return ran.stdout.split()


def test_the_top_level_holds_only_the_agreed_names() -> None:
    names = {path.parts[0] for path in _tracked()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_no_file_is_longer_than_its_limit() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    too_long = [f"{path.relative_to(ROOT)}: {n}" for path, n in lengths.items() if n > MOST_LINES]
    assert not too_long, "\n".join(too_long)


def test_no_folder_has_more_modules_than_its_limit() -> None:
    modules = Counter(path.parent for path in SOURCES if path.name != "__init__.py")
    too_many = [f"{path.relative_to(ROOT)}: {n}" for path, n in modules.items() if n > MOST_MODULES]
    assert not too_many, "\n".join(too_many)


def test_no_tracked_file_names_a_directory_of_somebodys_machine() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in _tracked()
        if (ROOT / path).is_file()
        for number, line in enumerate((ROOT / path).read_text("utf-8", "replace").splitlines(), 1)
        if HOME_OF_SOMEBODY.search(line)
    ]
    assert not found, "\n".join(found)


def _imports(source: Path) -> list[str]:
    """Return each module, and each name taken from one, that ``source`` imports absolutely."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_imports_only_public_modules_of_the_core(plugin: str) -> None:
    private = [
        f"{source.relative_to(ROOT)}: {name}"
        for source in sorted((ROOT / "plugins" / plugin).rglob("*.py"))
        for name in _imports(source)
        if name.startswith("frith.") and any(part[0] == "_" for part in name.split("."))
    ]
    assert not private, "\n".join(private)


def _undocumented(source: Path) -> Iterator[str]:
    """Yield each public name of the module ``source``, itself included, without a docstring."""
    module = ast.parse(source.read_text("utf-8"))
    if not ast.get_docstring(module):
        yield f"{source.relative_to(ROOT)}"
    scopes: list[ast.Module | ast.ClassDef] = [module]
    for scope in scopes:
        for node in scope.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            overload = any("overload" in ast.unparse(mark) for mark in node.decorator_list)
            if node.name.startswith(("_", "test_")) or overload:
                continue
            if not ast.get_docstring(node):
                yield f"{source.relative_to(ROOT)}:{node.lineno}: {node.name}"
            if isinstance(node, ast.ClassDef):
                scopes.append(node)


def test_every_public_name_has_a_docstring() -> None:
    private = re.compile(r"/_(?!_init__)|/frith_testing/suites/")  # authors import its parents
    public = [path for path in SOURCES if not private.search(str(path.relative_to(ROOT)))]
    missing = [name for source in public for name in _undocumented(source)]
    assert not missing, "\n".join(missing)


def _codes(source: Path) -> Iterator[str]:
    """Yield the code of each error that the module ``source`` defines."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        for statement in node.body if isinstance(node, ast.ClassDef) else ():
            match statement:
                case ast.Assign([ast.Name("code")], ast.Constant(str(code))):
                    yield code


def test_every_code_of_an_error_is_documented() -> None:
    """Those of the public errors by themselves, from their classes."""
    table = (ROOT / "docs/reference/errors.md").read_text("utf-8")
    public = ROOT / "core" / "frith" / "errors"
    codes = {code for source in SOURCES if source.parent != public for code in _codes(source)}
    assert "KEEPER_LOST" in codes
    assert {code for code in codes if f"`{code}`" not in table} == set()


@pytest.mark.requirement("R6.1")
def test_importing_the_core_loads_no_built_in_plugin() -> None:
    assert not {name.partition(".")[0] for name in _loaded_by("import frith")} & set(PLUGINS)


def test_importing_the_conformance_suites_plugin_loads_nothing_of_the_core() -> None:
    assert "frith" not in _loaded_by("import frith_testing")


@pytest.mark.parametrize("plugin", ANNOUNCED)
def test_importing_a_plugin_loads_its_options_alone(plugin: str) -> None:
    loaded = {name for name in _loaded_by(f"import {plugin}") if name.startswith("frith_")}
    packages = {name for name in loaded if "." not in name}
    options = {name for name in loaded if name.endswith((".options", ".environment"))}
    assert loaded - packages - options == set()


def test_the_lowest_versions_that_are_tested_are_the_ones_that_are_allowed() -> None:
    extras = itertools.chain.from_iterable(PROJECT["optional-dependencies"].values())
    allowed = {*PROJECT["dependencies"], *extras}
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    tested = tox["testenv:lowest"]["deps"].split()
    assert {pin.replace("==", ">=") for pin in tested} == allowed
