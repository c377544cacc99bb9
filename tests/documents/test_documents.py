"""The code in the README and the documentation works. Run by ``tox -e docs``.

Each document is one test, in an empty directory of its own. In it

- a block whose first line is ``# NAME.EXTENSION`` is written to that file, and a file that
  ``{literalinclude}`` shows to its ``:caption:``;
- any other ``python`` block is run, in one namespace for the whole document;
- a ``console`` block is run by bash: lines after ``$ `` (continued by ``> ``) are commands that
  must succeed, all others the output that they must have, in which ``…`` stands for anything;
- ``<!-- invisible-code-block: python … -->`` is run as well, ``<!-- skip: next -->`` skips a block.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest, mock

import pytest
from sybil import Document, Example, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from waiting import TO_RUN

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "```" in path.read_text("utf-8")
]
FILE_NAME = re.compile(r"# ([\w.-]+\.\w+)\n")
SHOWN_FILE = re.compile(r"^```\{literalinclude\} (\S+)\n(?::.*\n)*?:caption: (\S+)\n", re.MULTILINE)

SLOW = re.compile(r"^frith: warning: hook_blocked_event_loop .*\n", re.MULTILINE)
"""What the command adds where the machine is so busy that an import in a hook takes a second."""


def _write_file(example: Example) -> bool:
    named = FILE_NAME.match(example.parsed)
    if named:
        Path(named[1]).write_text(example.parsed, "utf-8")
    return bool(named)


def _python(example: Example) -> str | None:
    return None if _write_file(example) else PythonEvaluator()(example)


def _toml(example: Example) -> None:
    _write_file(example)


def _console(example: Example) -> str | None:
    lines = example.parsed.splitlines(keepends=True)
    script = "".join(line[2:] for line in lines if line[:2] in ("$ ", "> "))
    expected = "".join(line for line in lines if line[:2] not in ("$ ", "> "))
    ran = subprocess.run(
        ["bash", "-euc", f'{script}\npwd >"$DOCUMENT_CWD"'],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TO_RUN,
    )
    if ran.returncode:
        return f"{script}exit code {ran.returncode}\n{ran.stdout}"
    os.chdir(Path(os.environ["DOCUMENT_CWD"]).read_text("utf-8").rstrip("\n"))
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
    output = SLOW.sub("", ran.stdout).strip()
    if expected and not re.fullmatch(pattern, output, re.DOTALL):
        return f"{script}expected:\n{expected}\ngot:\n{output}"
    return None


def _shown_files(document: Document) -> Iterator[Region]:
    for shown in SHOWN_FILE.finditer(document.text):
        source = Path(document.path).parent / shown[1]
        yield Region(shown.start(), shown.end(), (source, Path(shown[2])), _copy)


def _copy(example: Example) -> None:
    source, target = example.parsed
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


PARSERS = (
    _shown_files,
    CodeBlockParser("python", _python),
    CodeBlockParser("console", _console),
    CodeBlockParser("toml", _toml),
    SkipParser(),
)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; its modules and its changes of the environment are undone."""
    here = tmp_path / "here"
    here.mkdir()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(here)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        "DOCUMENT_CWD": str(tmp_path / "cwd"),
        "GIT_AUTHOR_EMAIL": "reader@example.org",
        "GIT_AUTHOR_NAME": "Reader",
        "GIT_COMMITTER_EMAIL": "reader@example.org",
        "GIT_COMMITTER_NAME": "Reader",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "HOME": str(tmp_path),
        "PATH": path,
        "SHELL": "/bin/sh",
        "TMPDIR": str(temporary),  # a pytest that a document runs leaves its files there
    }
    with mock.patch.dict(os.environ, environment):  # undoes what the document changes as well
        yield here
        for keeper in here.glob("**/.git/frith/keepers/*"):  # of a document that failed half-way
            session_id, _, _ = keeper.name.partition(".")
            stop = ("-w", str(keeper.parents[3]), "stop", session_id)
            subprocess.run([sys.executable, "-m", "frith_cli", *stop], check=True)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(here)):
            del sys.modules[name]


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_code_in_a_document_works(path: Path) -> None:
    for example in Document.parse(str(path), *PARSERS):
        try:
            example.evaluate()
        except SkipTest:
            continue
