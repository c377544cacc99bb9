"""What is left after many commits and failures: nothing; whatever leaks is caught."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frith_testing.faults import leaks
from frith_testing.harness.opening import Opening


def test_many_commits_and_failures_leave_nothing_behind(json_store: Opening) -> None:
    report = leaks.run(json_store, commits=300, faults=100)
    assert report == leaks.LeaksReport(300, 100, ())


def test_the_plain_store_without_flaw_passes(flawed: Callable[[str], Opening]) -> None:
    assert leaks.run(flawed(""), commits=50, faults=40).violations == ()


@pytest.mark.parametrize(
    ("flaw", "found"),
    [
        ("leaks a descriptor", "after 50 commits 50 more descriptors are open: "),
        ("leaks a thread", "after 50 commits there are "),
        ("leaves its temporary file", "files are left: "),
    ],
)
def test_a_leak_is_found(flawed: Callable[[str], Opening], flaw: str, found: str) -> None:
    report = leaks.run(flawed(flaw), commits=50, faults=40)
    assert any(found in violation for violation in report.violations), report
