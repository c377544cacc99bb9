"""The model of the disk: the states after a crash."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frith_testing.faults.disk_model.contents import BLOCK, Truncate, Write, after, weak_contents
from frith_testing.faults.disk_model.disk import Disk, Model
from frith_testing.faults.tree import Entry, Kind

OLD, NEW = b"old content", b"new content, longer"
FILE = Entry(Kind.FILE, mode=0o600)
both = pytest.mark.parametrize("model", Model)


def disk(model: Model, **files: bytes) -> Disk:
    return Disk({name: Entry(Kind.FILE, content, 0o600) for name, content in files.items()}, model)


def left(state: Disk, path: str = "file") -> set[bytes | None]:
    """Return the possible contents of the file; ``None`` if it may not exist."""
    trees = list(state.after_crash())
    return {tree[path].content if path in tree else None for tree in trees}


def replace(state: Disk, *, sync: bool, sync_directory: bool) -> None:
    made = state.make("temporary", FILE)
    state.change(made, Write(0, NEW))
    if sync:
        state.sync(made)
    state.rename("temporary", "file")
    if sync_directory:
        state.sync(state.root)


@both
def test_the_tree_before_the_calls_is_durable(model: Model) -> None:
    assert left(disk(model, file=OLD)) == {OLD}


@both
def test_the_right_protocol_leaves_only_the_new_content(model: Model) -> None:
    state = disk(model, file=OLD)
    replace(state, sync=True, sync_directory=True)
    assert left(state) == {NEW}


@both
def test_without_a_sync_of_the_directory_the_old_content_may_be_there(model: Model) -> None:
    state = disk(model, file=OLD)
    replace(state, sync=True, sync_directory=False)
    assert left(state) == {OLD, NEW}


@both
def test_a_file_that_was_not_synced_may_be_empty(model: Model) -> None:
    state = disk(model, file=OLD)
    replace(state, sync=False, sync_directory=True)
    found = left(state)
    assert {b"", NEW} < found
    assert OLD not in found


def test_an_ordered_disk_may_have_half_of_what_was_written() -> None:
    state = disk(Model.ORDERED, file=OLD)
    state.write("file", 0, b"NEW!")
    assert left(state) == {OLD, b"NE" + OLD[2:], b"NEW!" + OLD[4:]}


def test_a_weak_disk_may_have_the_size_without_the_data() -> None:
    state = disk(Model.WEAK)
    made = state.make("file", FILE)
    state.change(made, Write(0, NEW))
    assert left(state) == {None, b"", bytes(len(NEW)), NEW}


def test_a_weak_disk_keeps_each_block_on_its_own() -> None:
    old, new = b"a" * 2 * BLOCK, b"b" * 2 * BLOCK
    state = disk(Model.WEAK, file=old)
    state.write("file", 0, new)
    one, other = b"a" * BLOCK, b"b" * BLOCK
    assert left(state) == {old, new, one + other, other + one}


def test_an_ordered_disk_keeps_names_in_their_order() -> None:
    state = disk(Model.ORDERED)
    for name in ("first", "second"):
        state.make(name, FILE)
    assert {frozenset(tree) for tree in state.after_crash()} == {
        frozenset(),
        frozenset({"first"}),
        frozenset({"first", "second"}),
    }


def test_a_weak_disk_keeps_names_in_any_combination() -> None:
    state = disk(Model.WEAK)
    for name in ("first", "second"):
        state.make(name, FILE)
    assert frozenset({"second"}) in {frozenset(tree) for tree in state.after_crash()}


def test_syncing_a_file_makes_earlier_names_durable_only_on_an_ordered_disk() -> None:
    for model, may_be_missing in ((Model.ORDERED, False), (Model.WEAK, True)):
        state = disk(model)
        state.sync(state.make("file", FILE))
        assert (None in left(state)) is may_be_missing


@both
def test_a_rename_between_directories_is_one_step(model: Model) -> None:
    state = disk(model, file=OLD)
    state.make("directory", Entry(Kind.DIRECTORY, mode=0o755))
    state.sync(state.root)
    state.rename("file", "directory/file")
    for tree in state.after_crash():
        assert ("file" in tree) != ("directory/file" in tree)
    state.sync(state.node("directory"))
    assert left(state) == {None}


@both
def test_what_is_in_a_directory_that_is_lost_is_lost_with_it(model: Model) -> None:
    state = disk(model)
    state.make("directory", Entry(Kind.DIRECTORY, mode=0o755))
    made = state.make("directory/file", FILE)
    state.sync(state.node("directory"))
    state.sync(made)
    for tree in state.after_crash():
        assert "directory" in tree or "directory/file" not in tree


@both
def test_a_second_name_shows_what_is_written_through_the_first(model: Model) -> None:
    state = disk(model, file=OLD)
    state.link(state.node("file"), "other")
    state.write("file", 0, b"OLD")
    state.sync(state.node("file"))
    state.sync(state.root)
    state.remove("file")
    state.sync(state.root)
    assert left(state, "other") == {b"OLD content"}
    assert left(state) == {None}


@both
def test_a_rename_onto_the_same_file_does_nothing(model: Model) -> None:
    state = disk(model, file=OLD)
    state.link(state.node("file"), "other")
    state.sync(state.root)
    state.rename("other", "file")
    assert left(state, "other") == {OLD}


def test_an_exchange_is_one_step() -> None:
    state = disk(Model.WEAK, file=OLD, other=NEW)
    state.exchange("file", "other")
    contents = {(tree["file"].content, tree["other"].content) for tree in state.after_crash()}
    assert contents == {(OLD, NEW), (NEW, OLD)}


def test_states_that_are_left_out_are_counted() -> None:
    state = disk(Model.WEAK)
    for number in range(14):
        state.make(str(number), FILE)
    tried = sum(1 for _ in state.after_crash())
    assert tried + state.left_out == 2**14


steps: list[Callable[[Disk, bytes], None]] = [
    lambda state, data: state.write("file", len(data), data),
    lambda state, data: state.change(state.node("file"), Truncate(len(data))),
    lambda state, _: state.sync(state.node("file")),
    lambda state, _: state.sync(state.root),
    lambda state, data: replace(state, sync=bool(data), sync_directory=len(data) > 2),
]


@given(st.lists(st.tuples(st.sampled_from(steps), st.binary(max_size=4)), max_size=6))
def test_the_newest_state_and_after_a_sync_only_that_may_be_there(
    done: list[tuple[Callable[[Disk, bytes], None], bytes]],
) -> None:
    ordered, weak = disk(Model.ORDERED, file=OLD), disk(Model.WEAK, file=OLD)
    for state in (ordered, weak):
        for step, data in done:
            step(state, data)
        newest = {path for path in ("file", "temporary") if _is_there(state, path)}
        assert newest in [set(tree) for tree in state.after_crash()]
        state.sync(state.node("file"))
        state.sync(state.root)
        assert len(left(state)) == 1
    assert left(ordered) == left(weak)


@given(
    st.binary(max_size=6),
    st.lists(
        st.builds(Write, st.integers(0, 8), st.binary(max_size=4))
        | st.builds(Truncate, st.integers(0, 8)),
        max_size=5,
    ),
)
def test_the_weak_model_has_every_moment_of_a_file(
    durable: bytes, changes: list[Write | Truncate]
) -> None:
    contents, left_out = weak_contents(durable, changes)
    assert left_out == 0
    for size in range(len(changes) + 1):
        assert after(durable, changes[:size]) in contents


def _is_there(state: Disk, path: str) -> bool:
    try:
        state.node(path)
    except KeyError:
        return False
    return True
