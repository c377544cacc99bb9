"""Leaks: a correct store passes, leaking stores are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frith_testing.faults import leaks
from frith_testing.harness.opening import Opening


def test_a_correct_store_passes(flawed: Callable[[str], Opening]) -> None:
    assert leaks.run(flawed(""), commits=50, faults=40) == leaks.LeaksReport(50, 40, ())


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
