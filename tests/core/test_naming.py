"""Names of sessions and of the branches that go with them."""

from __future__ import annotations

import re
import string
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frith.errors import InvalidNameError
from frith.naming import branch_of, check_name, generated_name

ALLOWED = string.ascii_letters + string.digits + "-"
NAMES = st.text(ALLOWED, min_size=1, max_size=50)


@pytest.mark.requirement("R1.10")
@given(NAMES)
def test_letters_digits_and_hyphens_make_a_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.requirement("R1.10")
@given(st.text())
def test_a_name_is_accepted_exactly_if_the_whole_of_it_matches(name: str) -> None:
    valid = 1 <= len(name) <= 50 and set(name) <= set(ALLOWED)
    if valid:
        assert check_name(name) == name
    else:
        with pytest.raises(InvalidNameError):
            check_name(name)


@pytest.mark.requirement("R1.10")
@pytest.mark.parametrize(
    "name",
    ["", "a" * 51, "a b", "a_b", "a/b", "a\n", "\na", "ä", "٣", "a\x00", "..", "--help\n"],
)
def test_an_invalid_name_that_looks_like_a_valid_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError) as refused:
        check_name(name)
    assert refused.value.code == "INVALID_NAME"
    assert refused.value.name == name


@pytest.mark.requirement("R1.4")
@given(NAMES)
def test_the_branch_of_a_name_is_a_feature(name: str) -> None:
    assert branch_of(name) == f"feature/{name}"


@pytest.mark.requirement("R1.2")
@given(st.dates(), st.integers(1, 99_999))
def test_a_generated_name_is_a_valid_one_and_tells_day_and_number(day: date, number: int) -> None:
    name = generated_name(day, number)
    assert check_name(name)
    found = re.fullmatch(r"feature-(\d{4}-\d{2}-\d{2})-(\d{3,})", name)
    assert found
    assert (found[1], int(found[2])) == (day.isoformat(), number)
