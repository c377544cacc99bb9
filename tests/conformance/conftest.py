"""Shared fixtures. These tests also run without the settings of this repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(id): the line of the requirements shown")


@pytest.fixture
def promises(pytester: pytest.Pytester) -> Any:
    """Run a test module; return the outcomes of its promises, and the exit code."""

    def run(source: str, *options: str) -> tuple[dict[str, dict[str, Any]], int]:
        pytester.makepyfile(source)
        plain = ("-p", "no:hypothesispytest")  # its import takes longer than the test
        ran = pytester.runpytest_inprocess(*plain, "--frith-report", "report.json", *options)
        (subject,) = json.loads(Path("report.json").read_text())
        return {row["promise"]: row for row in subject["promises"]}, ran.ret

    return run
