"""The session record: its JSON, its timestamps, what it keeps of others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from frith.model import (
    AtStake,
    Changes,
    Details,
    ExitStatus,
    Integrity,
    Session,
    SessionStatus,
    Snapshot,
    format_timestamp,
    now,
)

from .world import a_reservation, a_session

RECORD = {
    "id": "6f1f0b0e-8a3c-4e1e-9b57-0d9c2f6f3a11",
    "name": "one",
    "status": "active",
    "branch": "feature/one",
    "worktreePath": "/workspace/.worktrees/6f1f0b0e-8a3c-4e1e-9b57-0d9c2f6f3a11",
    "ptyPid": 4711,
    "createdAt": "2025-11-24T10:30:00.000Z",
    "lastActivity": "2025-11-24T10:31:02.345Z",
    "currentPhase": "review",
    "metadata": {"ticket": 7},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.requirement("R1.9")
def test_a_record_in_camel_case_is_a_session_in_snake_case() -> None:
    session = Session.model_validate(RECORD)
    assert session.worktree_path == RECORD["worktreePath"]
    assert session.pty_pid == 4711
    assert session.current_phase == "review"
    assert session.created_at == datetime(2025, 11, 24, 10, 30, tzinfo=UTC)
    assert session.status is SessionStatus.ACTIVE


@pytest.mark.requirement("R1.9")
def test_a_session_gives_its_record_back_as_it_was() -> None:
    assert Session.model_validate(RECORD).to_record() == RECORD


@pytest.mark.requirement("R1.8")
@pytest.mark.requirement("R1.6")
def test_absent_fields_are_left_out() -> None:
    without = {k: v for k, v in RECORD.items() if k not in ("ptyPid", "currentPhase", "metadata")}
    session = Session.model_validate(without)
    assert (session.pty_pid, session.current_phase, session.metadata) == (None, None, None)
    assert session.to_record() == without


@pytest.mark.expensive("tries many examples")
@pytest.mark.requirement("R1.9")
@given(st.dictionaries(st.text(), JSON), JSON)
def test_metadata_and_unknown_fields_survive_a_round_trip(
    metadata: dict[str, object], unknown: object
) -> None:
    record = {**RECORD, "metadata": metadata, "laterField": unknown, "later_field": None}
    assert Session.model_validate(record).to_record() == record


def test_null_within_metadata_is_a_value_and_stays() -> None:
    record = {**RECORD, "metadata": {"ticket": None, "deep": [None, {"er": None}]}}
    assert Session.model_validate(record).to_record() == record


@pytest.mark.requirement("R1.7")
@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_timestamp_is_utc_with_milliseconds_and_z(moment: datetime, minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    text = format_timestamp(elsewhere)
    milliseconds = moment.microsecond // 1000 * 1000
    assert datetime.fromisoformat(text) == moment.replace(microsecond=milliseconds)
    assert len(text) == len("2025-11-24T10:30:00.000Z")
    assert text.endswith("Z")


@pytest.mark.requirement("R1.7")
def test_a_session_keeps_no_more_of_a_moment_than_its_record_tells() -> None:
    moment = datetime(2025, 11, 24, 12, 30, 0, 123_999, timezone(timedelta(hours=2)))
    session = Session.model_validate({**RECORD, "createdAt": moment})
    assert session.to_record()["createdAt"] == "2025-11-24T10:30:00.123Z"
    assert Session.model_validate(session.to_record()) == session
    assert now().microsecond % 1000 == 0


@pytest.mark.requirement("R1.7")
def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        Session.model_validate({**RECORD, "createdAt": "2025-11-24T10:30:00.000"})


@pytest.mark.requirement("R1.1")
@pytest.mark.parametrize(
    "identity",
    ["", "one", "6f1f0b0e-8a3c-1e1e-9b57-0d9c2f6f3a11", "6f1f0b0e-8a3c-4e1e-9b57-0d9c2f6f3a11\n",
     "6f1f0b0e-8a3c-4e1e-9b57-0d9c2f6f3a11/..", "..", "6F1F0B0E-8A3C-4E1E-9B57-0D9C2F6F3A11"],
)  # fmt: skip
def test_an_id_is_a_uuid_of_version_4(identity: str) -> None:
    with pytest.raises(ValidationError):
        Session.model_validate({**RECORD, "id": identity})


@pytest.mark.requirement("R1.3")
def test_a_session_has_one_of_five_statuses() -> None:
    assert {status.value for status in SessionStatus} == {
        "active", "waiting", "idle", "error", "stopped",
    }  # fmt: skip


def test_a_session_is_immutable_and_a_change_makes_a_new_one() -> None:
    session = a_session()
    with pytest.raises(ValidationError):
        session.name = "two"
    changed = session.evolve(name="two", current_phase="x")
    assert (session.name, changed.name, changed.current_phase) == ("one", "two", "x")
    assert changed.id == session.id


def test_a_detail_changes_nothing_that_other_programs_read() -> None:
    session = a_session()
    changed = session.detail(command=("sh",), exit=ExitStatus(code=3))
    assert changed.details.command == ("sh",)
    assert changed.details.terminal == session.details.terminal
    assert changed.to_record() == session.to_record()
    assert "details" not in json.dumps(changed.to_record())
    assert changed != session


def test_unknown_details_survive_a_round_trip() -> None:
    details = Details.model_validate({"command": ["sh"], "laterDetail": {"x": None}})
    assert details.model_dump(mode="json", by_alias=True, exclude_unset=True) == {
        "command": ["sh"],
        "laterDetail": {"x": None},
    }


@pytest.mark.parametrize(
    ("status", "text"),
    [(ExitStatus(code=3), "exit code 3"), (ExitStatus(signal=9), "signal 9")],
)
def test_an_exit_status_has_a_description(status: ExitStatus, text: str) -> None:
    assert str(status) == text


def test_changes_make_a_new_snapshot_one_revision_later() -> None:
    kept, gone, new = a_session("kept"), a_session("gone"), a_session("new")
    left, place = a_reservation(a_session("left")), a_reservation(a_session("place"))
    before = Snapshot({kept.id: kept, gone.id: gone}, {left.id: left}, 7, Integrity.FOREIGN)
    renamed = kept.evolve(name="renamed")
    after = Changes(
        put=(renamed, new),
        delete=frozenset({gone.id}),
        reserve=(place,),
        release=frozenset({left.id}),
    ).apply(before)
    assert dict(after.sessions) == {kept.id: renamed, new.id: new}
    assert dict(after.reservations) == {place.id: place}
    assert (after.revision, after.integrity) == (8, Integrity.VERIFIED)
    assert dict(before.sessions) == {kept.id: kept, gone.id: gone}


def test_empty_changes_change_nothing() -> None:
    snapshot = Snapshot(revision=3)
    assert Changes().apply(snapshot) is snapshot
    assert not Changes()


@pytest.mark.parametrize(
    "at_stake",
    [
        AtStake(staged=("a",)),
        AtStake(changed=("a",)),
        AtStake(untracked=("a",)),
        AtStake(ignored=(".env",)),
        AtStake(commits=("c0ffee",)),
        AtStake(operation="rebase"),
        AtStake(submodules=("lib: unpushed",)),
        AtStake(blocked=("main worktree",)),
    ],
)
@pytest.mark.requirement("R2.8")
def test_any_kind_of_work_is_at_stake_and_named(at_stake: AtStake) -> None:
    assert at_stake
    kind = next(kind for kind in at_stake.__slots__ if getattr(at_stake, kind))
    value = getattr(at_stake, kind)
    assert (value if kind == "operation" else value[0]) in at_stake.summary()


def test_a_summary_names_three_of_many() -> None:
    at_stake = AtStake(changed=tuple("abcde"), untracked=("x",), operation="merge")
    assert at_stake.summary() == ("5 changed (a, b, c, …); 1 untracked (x); merge in progress")


def test_nothing_at_stake_is_said_to_be_nothing() -> None:
    assert not AtStake()
    assert AtStake().summary() == "nothing"
