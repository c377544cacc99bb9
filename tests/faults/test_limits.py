"""Limits of the system: a correct store passes, flawed stores are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frith_testing.faults import limits
from frith_testing.faults.limits import Limit
from frith_testing.harness.opening import Opening


def skip_unless_available(limit: Limit) -> None:
    if reason := limits.unavailable(limit):
        pytest.skip(reason)


@pytest.mark.parametrize("limit", Limit)
def test_a_correct_store_passes(flawed: Callable[[str], Opening], limit: Limit) -> None:
    skip_unless_available(limit)
    report = limits.run(flawed(""), limit)
    assert report.violations == ()
    assert 0 < report.met <= report.steps
    assert limit is Limit.WRITABILITY or report.met < report.steps


@pytest.mark.parametrize(
    ("flaw", "limit", "found"),
    [
        ("raises what the system raises", Limit.SPACE, "the write raised OSError"),
        ("writes in place", Limit.FILE_SIZE, "without the limit raised JSONDecodeError"),
        ("takes unreadable for empty", Limit.DESCRIPTORS, "other sessions are there"),
        ("deletes what it cannot read", Limit.DESCRIPTORS, "other sessions are there"),
        ("acknowledges before it writes", Limit.INODES, "other sessions are there"),
    ],
)
def test_a_limit_finds_a_flawed_store(
    flawed: Callable[[str], Opening], flaw: str, limit: Limit, found: str
) -> None:
    skip_unless_available(limit)
    report = limits.run(flawed(flaw), limit)
    assert any(found in violation for violation in report.violations), report
