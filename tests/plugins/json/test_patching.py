"""A patched record is byte for byte what encoding it anew would give, or it is not patched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frith.model import Session, SessionStatus
from frith_json._entry import Entry, UnstorableError
from frith_json._patch import patched
from frith_json._written import PIECE, Checksum, Lines, in_pieces

TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['"', ",", "\n", '",\n      "name": "x', "\x7f\u2028"]
)
MOMENT = st.datetimes(
    datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone(timedelta(hours=5)))
)
TREE = st.dictionaries(
    TEXT | st.sampled_from(["name", "metadata", "terminalRef"]),
    st.recursive(TEXT | st.integers() | st.booleans() | st.none(), st.lists, max_leaves=4),
    max_size=3,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": TEXT,
    "status": st.sampled_from(SessionStatus),
    "branch": TEXT,
    "worktree_path": TEXT,
    "pty_pid": st.none() | st.integers(0, 1 << 70),
    "created_at": MOMENT,
    "last_activity": MOMENT,
    "current_phase": st.none() | TEXT,
    "metadata": st.none() | TREE,
}


@pytest.fixture
def session(make: Callable[..., Session]) -> Session:
    return make(ptyPid=7, currentPhase="plan", metadata={"n": 1, "a": {"name": "x"}})


@pytest.mark.expensive("tries many examples")
@settings(max_examples=300)
@given(first=st.fixed_dictionaries(VALUES), then=st.fixed_dictionaries({}, optional=VALUES))
def test_a_patched_record_is_what_encoding_anew_gives(first, then) -> None:
    before = Session(id="12345678-1234-4234-8234-123456789abc", **first)
    before = before.detail(command=("sh",), terminal_ref={"pid": 1})
    after = before.evolve(**then)
    anew = Entry.of(after)
    changed = Entry.of(before).changed(after)
    assert (changed.record, changed.details) == (anew.record, anew.details)
    assert changed.session is after


@pytest.mark.parametrize(
    "change",
    [
        {"last_activity": datetime(2025, 1, 1, tzinfo=UTC)},
        {"status": SessionStatus.ERROR, "name": "n", "branch": "b", "pty_pid": 1 << 62},
        {},
    ],
    ids=["time", "several", "nothing"],
)
def test_the_frequent_changes_are_patched(session, change) -> None:
    entry = Entry.of(session)
    record = patched(entry.record, entry.details, session, session.evolve(**change))
    assert record == Entry.of(session.evolve(**change)).record


@pytest.mark.parametrize(
    "change",
    [
        {"status": "idle"},
        {"name": "\ud800"},
        {"pty_pid": None},
        {"pty_pid": True},
        {"last_activity": "2025-01-01T00:00:00Z"},
        {"metadata": {"n": 2}},
        {"id": "87654321-1234-4234-8234-123456789abc"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_anything_else_is_encoded_anew(session, change) -> None:
    entry = Entry.of(session)
    assert patched(entry.record, entry.details, session, session.evolve(**change)) is None


def test_what_was_changed_in_place_is_stored(session) -> None:
    session = deepcopy(session.detail(terminal_ref={"pid": 1}))
    entry = Entry.of(session)
    assert session.metadata is not None
    assert session.details.terminal_ref is not None
    session.metadata["n"] = 2
    entry = entry.changed(session.evolve(name="two"))
    assert b'"n": 2' in entry.record
    session.details.terminal_ref["pid"] = 5
    assert b'"pid": 5' in entry.changed(session.evolve(name="three")).details
    session.metadata["n"] = float("nan")
    with pytest.raises(UnstorableError):
        entry.changed(session.evolve(name="four"))


@given(
    contents=st.lists(
        st.lists(st.integers(0, 2 * PIECE).map(lambda size: b"x" * size), max_size=5),
        min_size=1,
        max_size=4,
    )
)
def test_a_checksum_that_was_used_before_is_right_again(contents) -> None:
    checksum = Checksum()
    for parts in contents:
        pieces = in_pieces(parts)
        assert b"".join(pieces) == b"".join(parts)
        assert checksum.of(pieces) == hashlib.sha256(b"".join(parts)).hexdigest()


@given(contents=st.lists(st.lists(st.binary(max_size=3), max_size=100), min_size=1, max_size=4))
def test_lines_that_were_joined_before_are_joined_right_again(contents) -> None:
    lines = Lines()
    for some in contents:
        assert b"".join(lines.joined(some, b",")) == b"".join(b"," + line for line in some)
