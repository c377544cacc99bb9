"""The size of a terminal that several viewers see."""

from __future__ import annotations

from typing import Any

import pytest

from frith_os.pty.windows import Windows
from frith_terminals.options import SizePolicy

WIDE, HIGH = (20, 100), (40, 60)


@pytest.mark.parametrize(
    ("policy", "both"), [(SizePolicy.LATEST, HIGH), (SizePolicy.SMALLEST, (20, 60))]
)
def test_the_size_follows_the_policy_and_then_the_window_that_is_left(
    policy: Any, both: Any
) -> None:
    windows = Windows(policy)
    assert windows.add("one", WIDE) == WIDE
    assert windows.add("other", HIGH) == both
    assert windows.remove("other") == WIDE


def test_a_window_given_again_is_the_latest() -> None:
    windows = Windows(SizePolicy.LATEST)
    windows.add("one", WIDE)
    windows.add("other", HIGH)
    assert windows.add("one", WIDE) == WIDE
    assert windows.remove("other") == WIDE


def test_the_latest_viewer_that_sees_exactly_the_terminal_owns_its_size() -> None:
    latest, smallest = Windows(SizePolicy.LATEST), Windows(SizePolicy.SMALLEST)
    for windows, owners in (
        (latest, ["one", "other", "third"]),
        (smallest, ["one", None, "third"]),
    ):
        assert windows.owner is None
        for viewer, size in {"one": WIDE, "other": HIGH, "third": (20, 60)}.items():
            windows.add(viewer, size)
            assert windows.owner == owners.pop(0)
        windows.remove("third", "other")
        assert windows.owner == "one"


def test_the_size_stays_when_the_last_or_an_unknown_window_is_removed() -> None:
    windows = Windows(SizePolicy.SMALLEST)
    windows.add("one", WIDE)
    assert windows.remove("one") is None
    assert windows.remove("one") is None
