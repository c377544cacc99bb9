"""Sample events for each lifecycle hook."""

from __future__ import annotations

from dataclasses import fields

from frith.errors import SessionLimitError
from frith.events import (
    Event,
    ProcessExited,
    SessionChangedElsewhere,
    SessionCreated,
    SessionCreating,
    SessionCreationFailed,
    SessionDestroyed,
    SessionDestroying,
    SessionLost,
    SessionsRecovered,
    SessionsRestored,
    SessionStatusChanged,
    SessionStuck,
    SessionUpdated,
    SessionWaiting,
    StoreCorrupted,
)
from frith.model import AtStake, Evidence, ExitStatus, Session, SessionStatus, Source, now
from frith_testing.harness.samples import ODD_TEXTS, a_full_session, a_session


def sample_events(hook: str, workspace: str) -> tuple[Event, ...]:
    """Return events for ``hook``: a plain one first, then odd ones."""
    plain, full, odd = a_session(), a_full_session(), ODD_TEXTS[3]
    work = AtStake(untracked=(odd,), operation="merge")
    samples: dict[str, tuple[Event, ...]] = {
        "frith_session_creating": (
            SessionCreating(workspace=workspace, name="sample", branch="feature/sample"),
            SessionCreating(workspace=workspace, name=None, branch=None),
            SessionCreating(
                workspace=workspace,
                name=odd,
                branch=odd,
                command=(odd,),
                metadata={odd: odd, "nested": {"list": [odd]}},
            ),
        ),
        "frith_session_created": tuple(
            SessionCreated(workspace=workspace, session=session, duration=0.5)
            for session in (plain, full)
        ),
        "frith_session_creation_failed": tuple(
            SessionCreationFailed(
                workspace=workspace, name=name, branch=name, error=error, duration=0.5
            )
            for name, error in (("sample", SessionLimitError(4)), (None, OSError(odd)))
        ),
        "frith_session_status_changed": tuple(
            SessionStatusChanged(
                workspace=workspace, session=session, previous=SessionStatus.ACTIVE
            )
            for session in (plain, full)
        ),
        "frith_session_updated": tuple(
            SessionUpdated(workspace=workspace, before=before, session=session)
            for before, session in ((plain, full), (full, plain))
        ),
        "frith_session_waiting": tuple(
            SessionWaiting(workspace=workspace, session=session, evidence=waiting(message))
            for session, message in ((plain, None), (full, odd))
        ),
        "frith_session_stuck": tuple(
            SessionStuck(workspace=workspace, session=session, silent=3600.0)
            for session in (plain, full)
        ),
        "frith_session_changed_elsewhere": tuple(
            SessionChangedElsewhere(workspace=workspace, before=before, after=after)
            for before, after in ((plain, full), (None, plain), (plain, None))
        ),
        "frith_session_lost": tuple(
            SessionLost(workspace=workspace, session=session) for session in (plain, full)
        ),
        "frith_session_destroying": (
            SessionDestroying(workspace=workspace, session=plain, cleanup=False, force=False),
            SessionDestroying(
                workspace=workspace, session=full, cleanup=True, force=True, at_stake=work
            ),
        ),
        "frith_session_destroyed": tuple(
            SessionDestroyed(workspace=workspace, session=session, cleanup=True, duration=0.5)
            for session in (plain, full)
        ),
        "frith_sessions_restored": (
            SessionsRestored(workspace=workspace, sessions=()),
            SessionsRestored(
                workspace=workspace,
                sessions=(plain, full),
                missing=(plain.id,),
                moved=(full.id,),
                swept=(4711,),
                notes=(odd,),
            ),
        ),
        "frith_store_corrupted": (
            StoreCorrupted(workspace=workspace, where=f"{workspace}/state", reason=odd),
        ),
        "frith_sessions_recovered": (
            SessionsRecovered(workspace=workspace, sessions=(), reason=""),
            SessionsRecovered(
                workspace=workspace, sessions=(plain, full), reason=odd, incomplete=(full.id,)
            ),
        ),
        "frith_process_exited": (
            ProcessExited(workspace=workspace, session=plain, exit=ExitStatus(code=0)),
            ProcessExited(workspace=workspace, session=full, exit=ExitStatus(signal=9)),
        ),
    }
    return samples[hook]


def content_of(event: Event) -> str:
    """Return the content of ``event``, the details of its sessions included."""
    values = [getattr(event, each.name) for each in fields(event)]
    held = [each for value in values for each in (value if isinstance(value, tuple) else (value,))]
    details = [repr(each.details) for each in held if isinstance(each, Session)]
    return f"{event!r} {details}"


def waiting(message: str | None) -> Evidence:
    """Return evidence that a session asks the user ``message`` and waits."""
    waits = SessionStatus.WAITING
    return Evidence(status=waits, source=Source.TOLD, message=message, since=now())
