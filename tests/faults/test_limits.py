"""Limits of the system: a store that keeps its promises passes, the flawed are caught."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frith_testing.faults import limits
from frith_testing.faults.limits import Limit
from frith_testing.harness.opening import Opening


def skip_unless_available(limit: Limit) -> None:
    if reason := limits.unavailable(limit):
        pytest.skip(reason)


@pytest.mark.requirement("R3.6")
@pytest.mark.parametrize("limit", Limit)
def test_a_store_that_meets_a_limit_loses_nothing_and_goes_on(
    json_store: Opening, limit: Limit
) -> None:
    skip_unless_available(limit)
    report = limits.run(json_store, limit)
    assert report.violations == ()
    assert 0 < report.met <= report.steps
    assert limit is Limit.WRITABILITY or report.met < report.steps


def test_the_plain_store_without_flaw_passes(flawed: Callable[[str], Opening]) -> None:
    report = limits.run(flawed(""), Limit.DESCRIPTORS)
    assert report.violations == ()
    assert report.met > 0


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
