"""Every line of the requirements is shown by a test, and tests name no line that is not there."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
pytestmark = pytest.mark.expensive("parses all tests")
SHIPPED_SUITES = TESTS.parent / "core" / "frith_testing"


def _known() -> dict[str, str]:
    tables = tomllib.loads((TESTS / "requirements.toml").read_text("utf-8"))
    return {
        f"{table}.{number}": text
        for table, lines in tables.items()
        for number, text in lines.items()
    }


def _named_in(source: Path) -> dict[str, str]:
    """Return each id that a ``requirement`` mark in ``source`` names, and where."""
    return {
        argument.value: f"{source.relative_to(TESTS.parent)}:{argument.lineno}"
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement"
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


@cache
def _named() -> dict[str, str]:
    named: dict[str, str] = {}
    for root in (TESTS, SHIPPED_SUITES):
        for source in sorted(root.rglob("*.py")):
            named.update(_named_in(source))
    return named


def test_each_line_of_the_requirements_is_named_by_a_test() -> None:
    named = _named()
    missing = [f"{line}: {text}" for line, text in _known().items() if line not in named]
    assert not missing, "no test names:\n" + "\n".join(missing)


def test_no_test_names_an_unknown_line() -> None:
    known = _known()
    unknown = [f"{line} in {where}" for line, where in _named().items() if line not in known]
    assert not unknown, "not in requirements.toml:\n" + "\n".join(unknown)
