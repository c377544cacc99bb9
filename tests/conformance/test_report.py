"""The report while the tests run: what has been found so far, and that it is not complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]

SOURCE = """
import os
import pytest
import frith
from frith_testing.lifecycle import LifecyclePluginConformance

class Quiet:
    @frith.hookimpl
    async def frith_session_created(self, event): ...

class TestQuiet(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self):
        return Quiet()

    def test_of_its_own(self):
        {end}
"""


def reported(pytester: pytest.Pytester, end: str, *options: str) -> tuple[dict[str, Any], str]:
    """Run the suite with a test of its own that does ``end``; return both kinds of report."""
    pytester.makepyfile(SOURCE.format(end=end))
    reports = ("--frith-report=report.json", "--frith-report=report.txt")
    pytester.runpytest_subprocess("-p", "no:hypothesispytest", *reports, *options)
    (subject,) = json.loads(Path("report.json").read_text())
    return subject, Path("report.txt").read_text()


@pytest.mark.expensive("starts pytest")
@pytest.mark.parametrize(
    ("end", "options"),
    [("os._exit(1)", ()), ("pytest.exit('enough')", ()), ("assert False", ("--maxfail=1",))],
    ids=["killed", "interrupted", "stopped at the first failure"],
)
def test_a_run_that_is_killed_or_stopped_leaves_an_incomplete_report(
    pytester: pytest.Pytester, end: str, options: tuple[str, ...]
) -> None:
    subject, text = reported(pytester, end, *options)
    assert not subject["complete"]
    assert "kept" in {row["outcome"] for row in subject["promises"]}
    assert text.startswith("This report is not complete")


@pytest.mark.expensive("starts pytest")
def test_a_report_is_complete_although_tests_failed(pytester: pytest.Pytester) -> None:
    subject, text = reported(pytester, "assert False")
    assert subject["complete"]
    assert "not complete" not in text
