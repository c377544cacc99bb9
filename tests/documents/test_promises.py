"""What the documentation says of promises is true of the suites. Run by ``tox -e docs``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from frith_testing.harness.base import standard_tests
from frith_testing.lifecycle import LifecyclePluginConformance
from frith_testing.selection import SUITES

EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation" / "how-we-know.md"
QUOTED = re.findall(r"\*([a-z][a-z ]{15,})\*", EXPLANATION.read_text("utf-8"))
PROMISES = {
    name.removeprefix("test_").replace("_", " ")
    for suite in (*SUITES.values(), LifecyclePluginConformance)
    for name in standard_tests(suite)
}


def test_promises_are_quoted() -> None:
    assert len(QUOTED) > 15


@pytest.mark.parametrize("promise", QUOTED)
def test_a_promise_that_is_quoted_is_one_of_a_suite(promise: str) -> None:
    assert promise in PROMISES
