"""The gate stays what it is: the checks of every change, in ten minutes on two cores."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOMS = ("core", "plugins", "integration", "conformance", "faults", "documents", "packaging")

GATE = {"lint", "type", "docs", "pkg", "no-builtins", "lowest", "py313"}
A_STORE_THAT_HANGS = "faults/small_stores.py"


@pytest.fixture(scope="module")
def tox() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(TESTS.parent / "tox.ini", "utf-8")
    return parser


def _names(listed: str) -> set[str]:
    return {name for part in listed.replace("\\", ",").split(",") if (name := part.strip())}


def _labels(tox: configparser.ConfigParser) -> dict[str, set[str]]:
    entries = tox["tox"]["labels"].replace("\\\n", "").strip().splitlines()
    pairs = (entry.split("=") for entry in entries)
    return {label.strip(): _names(listed) for label, listed in pairs}


def test_the_gate_has_no_other_environments(tox: configparser.ConfigParser) -> None:
    assert _names(tox["tox"]["env_list"]) == GATE


def test_every_environment_runs_before_a_release(tox: configparser.ConfigParser) -> None:
    labels = _labels(tox)
    defined = {name.removeprefix("testenv:") for name in tox if name.startswith("testenv:")}
    assert labels["release"] == defined | GATE | labels["nightly"]
    assert labels["nightly"] == labels["release"] - GATE - {"powercut"}


def _sleeps(source: Path) -> Iterator[int]:
    """Yield the line of each call of a function called ``sleep``, but for bare checkpoints."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or ast.unparse(node.func).split(".")[-1] != "sleep":
            continue
        if [ast.unparse(argument) for argument in node.args] != ["0"]:
            yield node.lineno


def test_no_test_sleeps_to_wait_for_something() -> None:
    """What has no event is polled by ``tests/tools/waiting.py``."""
    found = [
        f"{source.relative_to(TESTS)}:{line}"
        for room in ROOMS
        for source in sorted((TESTS / room).rglob("*.py"))
        if source != TESTS / A_STORE_THAT_HANGS
        for line in _sleeps(source)
    ]
    assert not found, "\n".join(found)
