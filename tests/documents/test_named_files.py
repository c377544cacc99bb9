"""Every file of the repository that the README or the documentation names exists.

A file may be named from any folder on: ``_flows/create.py`` is ``core/frith/_flows/create.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FOLDERS = ("core", "docs", "plugins", "tests")
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"(?<![\w/.-])[\w-]+(?:/[\w-]+)*\.py\b")
FOLDER = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)}|_engine|_flows)/[a-z_/]*(?![\w./-])")

EXISTING = {
    f"/{path.relative_to(ROOT).as_posix()}"
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
}


def _exists(name: str) -> bool:
    return any(path.endswith(f"/{name.rstrip('/')}") for path in EXISTING)


def _missing(document: str) -> set[str]:
    """Return the names that lead nowhere; a code block may create files, in no folder of ours."""
    blocks = "".join(BLOCK.findall(document))
    prose = BLOCK.sub("", document)
    created = set(MODULE.findall(blocks))
    modules = set(MODULE.findall(prose)) - {name for name in created if "/" not in name}
    modules |= {name for name in created if name.startswith(FOLDERS)}
    folders = set(FOLDER.findall(prose))
    return {name for name in modules | folders if not _exists(name)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_files_that_a_document_names_exist(path: Path) -> None:
    assert not _missing(path.read_text("utf-8"))


@pytest.mark.parametrize("name", ["_flows/created.py", "tests/nowhere/test_it.py", "core/nowhere"])
def test_a_wrong_name_is_found(name: str) -> None:
    assert _missing(f"The code is in `{name}`.") == {name}
