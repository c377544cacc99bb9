"""Which size a terminal has that several viewers see."""

from __future__ import annotations

import pytest

from frith_os.pty.windows import Windows
from frith_terminals.options import SizePolicy

WIDE, HIGH = (20, 100), (40, 60)


@pytest.mark.parametrize(
    ("policy", "both"), [(SizePolicy.LATEST, HIGH), (SizePolicy.SMALLEST, (20, 60))]
)
def test_of_two_windows_the_size_is_as_set_and_the_one_left_gives_it(policy, both):
    windows = Windows(policy)
    assert windows.add("one", WIDE) == WIDE
    assert windows.add("other", HIGH) == both
    assert windows.remove("other") == WIDE


def test_a_window_told_of_again_is_the_latest():
    windows = Windows(SizePolicy.LATEST)
    windows.add("one", WIDE)
    windows.add("other", HIGH)
    assert windows.add("one", WIDE) == WIDE
    assert windows.remove("other") == WIDE


def test_the_size_stays_when_the_last_window_goes_or_one_never_told_of():
    windows = Windows(SizePolicy.SMALLEST)
    windows.add("one", WIDE)
    assert windows.remove("one") is None
    assert windows.remove("one") is None
