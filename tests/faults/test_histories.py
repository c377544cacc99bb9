"""Histories of real processes: a correct store passes, flawed stores are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frith_testing.faults import histories
from frith_testing.harness.opening import Opening


def test_a_correct_store_passes(flawed: Callable[[str], Opening]) -> None:
    report = histories.run(flawed(""), seconds=2, commits=100, seed=2)
    assert report.violations == ()
    assert report.commits >= 100
    assert report.loads >= 100
    assert report.kills > 0
    assert 0 < report.least <= report.most
    assert report.in_doubt <= report.kills


@pytest.mark.parametrize(
    ("flaw", "found"),
    [
        ("no lock", "is both "),
        ("does not read again under the lock", "had been acknowledged before it began"),
        ("acknowledges before it writes", "had been acknowledged before it began"),
        ("writes in place", "failed: JSONDecodeError"),
    ],
)
def test_random_kills_find_a_flawed_store(
    flawed: Callable[[str], Opening], flaw: str, found: str
) -> None:
    report = histories.run(flawed(flaw), seconds=1, commits=100, seed=3)
    assert any(found in violation for violation in report.violations), report
