"""Mappings that share what they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frith._immutable import LayeredMap, changed, differing

KEYS = st.integers(0, 40)
STEPS = st.lists(st.tuples(st.dictionaries(KEYS, st.integers(), max_size=9), st.frozensets(KEYS)))


@given(STEPS)
def test_a_changed_mapping_equals_a_dictionary_with_the_same_changes(
    steps: list[tuple[dict[int, int], frozenset[int]]],
) -> None:
    plain: dict[int, int] = {}
    mapping: Mapping[int, int] = {}
    for put, delete in steps:
        for key in delete:
            plain.pop(key, None)
        plain.update(put)
        mapping = changed(mapping, put, delete)
        assert mapping == plain
        assert len(mapping) == len(plain)
        assert list(mapping.items()) == list(plain.items())
        assert list(mapping.values()) == list(plain.values())
        assert {key: mapping.get(key) for key in range(41)} == {k: plain.get(k) for k in range(41)}


@given(STEPS, STEPS)
def test_two_mappings_differ_in_the_keys_whose_values_differ(
    first: list[tuple[dict[int, int], frozenset[int]]],
    second: list[tuple[dict[int, int], frozenset[int]]],
) -> None:
    base: Mapping[int, int] = dict.fromkeys(range(20), 0)
    one = other = base
    for put, delete in first:
        one = changed(one, put, delete)
    for put, delete in second:
        other = changed(other, put, delete)
    keys = {k for k in range(41) if one.get(k) != other.get(k)}
    assert set(differing(one, other)) == keys


def test_a_change_leaves_the_mapping_that_it_started_from_as_it_was() -> None:
    before = changed({"a": 1, "b": 2}, {"c": 3}, ())
    changed(before, {"a": 9}, {"b"})
    assert before == {"a": 1, "b": 2, "c": 3}


def test_a_mapping_cannot_be_changed_through_what_it_gives_out() -> None:
    mapping = changed({"a": 1}, {"b": 2}, ())
    with pytest.raises(TypeError):
        mapping["a"] = 2  # type: ignore[index]
    assert list(mapping.items()) == [("a", 1), ("b", 2)]


def test_a_key_that_is_put_again_comes_last() -> None:
    gone = changed({"a": 1, "b": 2}, {}, {"a"})
    assert list(changed(gone, {"a": 3}, ())) == ["b", "a"]


def test_a_deleted_key_that_was_new_leaves_no_trace() -> None:
    mapping: Mapping[int, int] = MappingProxyType({0: 0})
    for number in range(1, 1_000):
        mapping = changed(changed(mapping, {number: 1}, ()), {}, {number})
    assert isinstance(mapping, LayeredMap)
    assert not mapping._layer


def test_the_layer_of_differences_stays_small() -> None:
    mapping: Mapping[int, int] = dict.fromkeys(range(10_000), 0)
    for number in range(1_000):
        mapping = changed(mapping, {number: 1}, ())
        layer = mapping._layer if isinstance(mapping, LayeredMap) else {}
        assert len(layer) <= 100
