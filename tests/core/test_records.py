"""The JSON forms of sessions, events, changes and errors, and their schemas."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from frith import AllSessions, Cursor, ExitStatus, Session, SessionChange, SessionStatus
from frith.errors import FrithError, SessionNotRunningError
from frith.events import Event, SessionCreationFailed, SessionDestroying, SessionUpdated
from frith.model import AtStake, Source
from frith_testing.suites.lifecycle.sample_events import sample_events

from .managers import LIFECYCLE_HOOKS
from .test_errors import ADVICE, CODES
from .world import a_session, as_running

EVENTS = [event for hook in LIFECYCLE_HOOKS for event in sample_events(hook, "/workspace")]
ERRORS = [
    *(error for error, _ in ADVICE),
    SessionNotRunningError("id", elsewhere=True, exit_status=ExitStatus(code=3)),
]


def check(record: dict[str, Any], schema: dict[str, Any]) -> None:
    """Check that ``record`` is JSON that ``schema`` describes, each of its properties."""
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(record)), schema)
    assert set(record) <= set(schema["properties"])


def a_waiting_session() -> Session:
    """Return a session that has everything which a record may show."""
    running = as_running(a_session("one")).evolve(metadata={"a": None}, theirField=[None])
    return running.conclude(SessionStatus.WAITING, Source.SCREEN, message="Go on?")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_the_record_of_an_event_is_as_its_schema_says(event: Event) -> None:
    check(event.to_record(), type(event).record_schema())
    assert event.to_record()["event"] == event.event


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_the_record_of_an_error_is_as_its_schema_says(error: FrithError) -> None:
    check(error.to_record(), type(error).record_schema())
    assert error.to_record().items() >= {"code": error.code, "message": str(error)}.items()


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_schema_with_its_code(kind: type[FrithError]) -> None:
    assert kind.record_schema()["properties"]["code"]["const"] == kind.code


def test_the_attributes_of_an_error_are_in_its_record() -> None:
    error = SessionNotRunningError("id", elsewhere=True, exit_status=ExitStatus(signal=9))
    assert error.to_record() == {
        "code": "SESSION_NOT_RUNNING",
        "message": str(error),
        "sessionId": "id",
        "elsewhere": True,
        "exitStatus": {"signal": 9},
    }


def test_the_record_of_a_session_is_as_its_schema_says() -> None:
    session = a_waiting_session()
    schema = Session.model_json_schema(mode="serialization")
    jsonschema.validate(session.to_record(), schema)
    jsonschema.validate(session.to_record() | {"frith": session.details.to_record()}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**session.to_record(), "status": "asleep"}, schema)


def test_a_session_in_a_record_has_its_details_under_frith() -> None:
    session = a_waiting_session()
    record = SessionUpdated(workspace="/w", before=session, session=session).to_record()["session"]
    assert record["frith"]["evidence"]["message"] == "Go on?"
    assert "terminalRef" not in record["frith"]
    del record["frith"]
    assert record == session.to_record()
    assert record["theirField"] == [None]


def test_the_record_of_a_change_is_as_its_schema_says() -> None:
    session, cursor = a_waiting_session(), Cursor("json:x", 7)
    change = SessionChange(None, session, cursor)
    check(change.to_record(), SessionChange.record_schema())
    assert change.to_record()["kinds"] == ["created", "waiting"]
    everything = AllSessions((session,), cursor)
    check(everything.to_record(), AllSessions.record_schema())
    assert everything.to_record()["cursor"] == {"store": "json:x", "revision": 7}


def test_an_error_in_an_event_has_its_code_or_the_name_of_its_class() -> None:
    def code(error: BaseException) -> str:
        failed = SessionCreationFailed(
            workspace="/w", name=None, branch=None, error=error, duration=0.1
        )
        return str(failed.to_record()["error"]["code"])

    assert code(SessionNotRunningError("id")) == "SESSION_NOT_RUNNING"
    assert code(OSError("disk")) == "OSError"


def test_work_at_stake_is_listed() -> None:
    work = AtStake(untracked=("a",), operation="merge")
    event = SessionDestroying(
        workspace="/w", session=a_session("one"), cleanup=True, force=False, at_stake=work
    )
    at_stake = event.to_record()["atStake"]
    assert (at_stake["untracked"], at_stake["operation"]) == (["a"], "merge")


def test_an_error_of_a_plugin_has_the_attributes_that_its_class_annotates() -> None:
    class QuotaError(FrithError):
        code = "QUOTA"
        left: int

        def __init__(self, left: int) -> None:
            super().__init__(f"{left} left.")
            self.left = left
            self._private = "kept"

    check(QuotaError(3).to_record(), QuotaError.record_schema())
    assert QuotaError(3).to_record() == {"code": "QUOTA", "message": "3 left.", "left": 3}
