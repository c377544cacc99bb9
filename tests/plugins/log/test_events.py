"""Each lifecycle event becomes one line with the agreed name and fields."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog

import frith_log
from frith.errors import SessionVetoed, SpawnError
from frith.events import (
    ProcessExited,
    SessionChangedElsewhere,
    SessionCreated,
    SessionCreationFailed,
    SessionDestroyed,
    SessionLost,
    SessionsRecovered,
    SessionsRestored,
    SessionStatusChanged,
    SessionStuck,
    SessionUpdated,
    SessionWaiting,
    StoreCorrupted,
)
from frith.model import ExitStatus, Session, SessionStatus, Source

pytestmark = pytest.mark.requirement("R8.1")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.DEBUG, logger="frith")
    return lambda: [json.loads(message) for message in caplog.messages]


def about(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "name": session.name,
        "branch": session.branch,
        "path": session.worktree_path,
    }


def has(line: dict[str, Any], event: str, level: str, **fields: Any) -> bool:
    return line | {"event": event, "level": level, **fields} == line


async def test_a_created_session_is_logged_with_its_duration(lines: Any, session: Session) -> None:
    await frith_log.frith_session_created(
        SessionCreated(workspace="/w", session=session, duration=0.25)
    )
    (line,) = lines()
    assert has(line, "session_created", "info", **about(session), duration=0.25)


async def test_a_destroyed_session_is_logged_with_its_cleanup(lines: Any, session: Session) -> None:
    await frith_log.frith_session_destroyed(
        SessionDestroyed(workspace="/w", session=session, cleanup=True, duration=0.5)
    )
    (line,) = lines()
    assert has(line, "session_destroyed", "info", **about(session), cleanup=True, duration=0.5)


async def test_a_failed_creation_is_logged_with_the_code_of_its_error(lines: Any) -> None:
    error = SpawnError(["nvim"], "no such file")
    await frith_log.frith_session_creation_failed(
        SessionCreationFailed(
            workspace="/w",
            name="login",
            branch=None,
            error=error,
            duration=0.1,
            left_behind=("/w/.worktrees/x",),
        )
    )
    (line,) = lines()
    assert has(
        line,
        "session_creation_failed",
        "warning",
        name="login",
        code="SPAWN_FAILED",
        reason=str(error),
        left_behind=["/w/.worktrees/x"],
        duration=0.1,
    )
    assert line.keys().isdisjoint({"plugin", "branch", "session_id"})


async def test_a_veto_is_logged_with_the_plugin(lines: Any) -> None:
    await frith_log.frith_session_creation_failed(
        SessionCreationFailed(
            workspace="/w",
            name=None,
            branch="b",
            error=SessionVetoed("not on Fridays", "calendar"),
            duration=0.0,
        )
    )
    (line,) = lines()
    assert has(line, "session_creation_failed", "warning", code="SESSION_VETOED", plugin="calendar")


async def test_a_creation_that_failed_by_another_exception_is_logged_with_its_type(
    lines: Any,
) -> None:
    await frith_log.frith_session_creation_failed(
        SessionCreationFailed(
            workspace="/w", name="a", branch="b", error=KeyboardInterrupt(), duration=0.0
        )
    )
    (line,) = lines()
    assert has(line, "session_creation_failed", "warning", code="KeyboardInterrupt")


async def test_a_changed_status_is_logged_with_the_previous_one(
    lines: Any, session: Session
) -> None:
    await frith_log.frith_session_status_changed(
        SessionStatusChanged(workspace="/w", session=session, previous=SessionStatus.ACTIVE)
    )
    (line,) = lines()
    assert has(
        line,
        "session_status_changed",
        "info",
        **about(session),
        status="idle",
        previous="active",
    )


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [(False, True, "created"), (True, True, "changed"), (True, False, "destroyed")],
)
async def test_a_change_by_another_process_is_logged_at_level_debug(
    lines: Any, session: Session, before: bool, after: bool, change: str
) -> None:
    await frith_log.frith_session_changed_elsewhere(
        SessionChangedElsewhere(
            workspace="/w",
            before=session if before else None,
            after=session if after else None,
        )
    )
    (line,) = lines()
    assert has(line, "session_changed_elsewhere", "debug", **about(session), change=change)


async def test_an_updated_session_is_logged_with_its_changed_fields(
    lines: Any, session: Session
) -> None:
    before = session.evolve(name="earlier", current_phase="draft")
    await frith_log.frith_session_updated(
        SessionUpdated(workspace="/w", before=before, session=session)
    )
    (line,) = lines()
    assert has(
        line, "session_updated", "debug", **about(session), changed=["name", "current_phase"]
    )


async def test_a_lost_session_is_a_warning(lines: Any, session: Session) -> None:
    await frith_log.frith_session_lost(SessionLost(workspace="/w", session=session))
    (line,) = lines()
    assert has(line, "session_lost", "warning", **about(session))


async def test_an_empty_change_by_another_process_is_not_logged(lines: Any) -> None:
    await frith_log.frith_session_changed_elsewhere(
        SessionChangedElsewhere(workspace="/w", before=None, after=None)
    )
    assert not lines()


@pytest.mark.requirement("R4.1")
async def test_restored_sessions_are_logged_with_their_number(lines: Any, session: Session) -> None:
    await frith_log.frith_sessions_restored(
        SessionsRestored(workspace="/w", sessions=(session,), swept=(42,), notes=("undone",))
    )
    (line,) = lines()
    assert has(line, "sessions_restored", "info", count=1, path="/w", swept=[42], notes=["undone"])


@pytest.mark.requirement("R4.4")
async def test_a_missing_or_moved_worktree_is_a_warning(lines: Any, session: Session) -> None:
    await frith_log.frith_sessions_restored(
        SessionsRestored(
            workspace="/w", sessions=(session,), missing=(session.id,), moved=(session.id,)
        )
    )
    missing, moved, restored = lines()
    assert has(missing, "worktree_missing", "warning", **about(session))
    assert has(moved, "worktree_moved", "warning", **about(session))
    assert has(restored, "sessions_restored", "info", count=1)


async def test_a_corrupt_state_file_is_a_warning_with_the_reason(lines: Any) -> None:
    await frith_log.frith_store_corrupted(
        StoreCorrupted(workspace="/w", where="/w/state.json", reason="no JSON")
    )
    (line,) = lines()
    assert has(line, "state_file_corrupted", "warning", path="/w/state.json", reason="no JSON")


async def test_recovered_sessions_are_a_warning_with_the_reason(
    lines: Any, session: Session
) -> None:
    await frith_log.frith_sessions_recovered(
        SessionsRecovered(
            workspace="/w", sessions=(session,), reason="no JSON", incomplete=(session.id,)
        )
    )
    (line,) = lines()
    assert has(
        line,
        "sessions_recovered",
        "warning",
        path="/w",
        count=1,
        incomplete=[session.id],
        reason="no JSON",
    )


@pytest.mark.parametrize(
    ("status", "exit_status", "level", "fields"),
    [
        (SessionStatus.STOPPED, ExitStatus(code=0), "info", {"exit_code": 0}),
        (SessionStatus.ERROR, ExitStatus(code=2), "warning", {"exit_code": 2}),
        (SessionStatus.ERROR, ExitStatus(signal=9), "warning", {"signal": 9}),
        (SessionStatus.STOPPED, ExitStatus(signal=15), "info", {"signal": 15}),
    ],
)
async def test_an_exited_process_is_a_warning_if_it_failed(
    lines: Any,
    session: Session,
    status: SessionStatus,
    exit_status: ExitStatus,
    level: str,
    fields: dict[str, int],
) -> None:
    session = session.evolve(status=status)
    await frith_log.frith_process_exited(
        ProcessExited(workspace="/w", session=session, exit=exit_status)
    )
    (line,) = lines()
    assert has(line, "process_exited", level, **about(session), status=status.value, **fields)
    assert {"exit_code", "signal"} & line.keys() == fields.keys()


async def test_events_go_through_the_structlog_that_the_host_configured(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    with structlog.testing.capture_logs() as captured:
        structlog.configure(processors=structlog.get_config()["processors"])
        await frith_log.frith_session_created(
            SessionCreated(workspace="/w", session=session, duration=0.25)
        )
    assert captured == [
        {"event": "session_created", "log_level": "info", **about(session), "duration": 0.25}
    ]
    assert not caplog.messages


async def test_a_waiting_session_is_logged_with_its_evidence(lines: Any, session: Session) -> None:
    asking = session.conclude(SessionStatus.WAITING, Source.TOLD, confidence=0.9, message="May I?")
    assert asking.evidence is not None
    await frith_log.frith_session_waiting(
        SessionWaiting(workspace="/w", session=asking, evidence=asking.evidence)
    )
    (line,) = lines()
    fields = {"source": "told", "confidence": 0.9, "message": "May I?"}
    assert has(line, "session_waiting", "info", **about(session), **fields)


async def test_a_stuck_session_is_a_warning(lines: Any, session: Session) -> None:
    await frith_log.frith_session_stuck(
        SessionStuck(workspace="/w", session=session, silent=1800.0)
    )
    (line,) = lines()
    assert has(line, "session_stuck", "warning", **about(session), silent=1800.0)
