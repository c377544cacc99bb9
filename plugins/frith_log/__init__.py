"""The plugin `log`: writes one structured log line for each lifecycle event.

The lines go through the host's structlog or its logger ``frith``; see :mod:`frith.logs`. If the
option ``configure`` is set, all lines of the manager go to a file or standard error instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frith.errors import FrithError
from frith.hookspecs import hookimpl
from frith.logs import log
from frith.model import SessionStatus

if TYPE_CHECKING:
    from frith import events
    from frith.config import ManagerConfig
    from frith.model import Session
    from frith_log.configure import OwnLog


def _fields(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "name": session.name,
        "branch": session.branch,
        "path": session.worktree_path,
    }


@hookimpl
def frith_configure(config: ManagerConfig) -> OwnLog | None:
    """Return the log of this manager, if its options ask for one."""
    from frith_log.configure import LogOptions, OwnLog

    options = config.plugin_options("log", LogOptions)
    return OwnLog(options, config.workspace) if options.configure else None


@hookimpl
async def frith_session_created(event: events.SessionCreated) -> None:
    """Log ``session_created``."""
    log.info("session_created", **_fields(event.session), duration=round(event.duration, 6))


@hookimpl
async def frith_session_creation_failed(event: events.SessionCreationFailed) -> None:
    """Log ``session_creation_failed`` with the code of the error, or the plugin of a veto."""
    error = event.error
    log.warning(
        "session_creation_failed",
        session_id=event.session_id,
        name=event.name,
        branch=event.branch,
        code=error.code if isinstance(error, FrithError) else type(error).__name__,
        reason=str(error),
        plugin=getattr(error, "plugin", None),
        left_behind=event.left_behind,
        duration=round(event.duration, 6),
    )


@hookimpl
async def frith_session_status_changed(event: events.SessionStatusChanged) -> None:
    """Log ``session_status_changed``."""
    session = event.session
    log.info(
        "session_status_changed",
        **_fields(session),
        status=session.status,
        previous=event.previous,
    )


@hookimpl
async def frith_session_updated(event: events.SessionUpdated) -> None:
    """Log ``session_updated`` at level DEBUG, with the names of the changed fields."""
    before, after = event.before, event.session
    changed = [
        key for key in type(after).model_fields if getattr(before, key) != getattr(after, key)
    ]
    log.debug("session_updated", **_fields(after), changed=changed)


@hookimpl
async def frith_session_waiting(event: events.SessionWaiting) -> None:
    """Log ``session_waiting``."""
    evidence = event.evidence
    log.info(
        "session_waiting",
        **_fields(event.session),
        source=evidence.source,
        confidence=evidence.confidence,
        message=evidence.message,
    )


@hookimpl
async def frith_session_stuck(event: events.SessionStuck) -> None:
    """Log ``session_stuck``."""
    log.warning("session_stuck", **_fields(event.session), silent=round(event.silent, 3))


@hookimpl
async def frith_session_lost(event: events.SessionLost) -> None:
    """Log ``session_lost``."""
    log.warning("session_lost", **_fields(event.session))


@hookimpl
async def frith_session_changed_elsewhere(event: events.SessionChangedElsewhere) -> None:
    """Log ``session_changed_elsewhere`` at level DEBUG; the other host logs the change itself."""
    session = event.after or event.before
    if session is not None:
        change = "destroyed" if not event.after else "changed" if event.before else "created"
        log.debug("session_changed_elsewhere", **_fields(session), change=change)


@hookimpl
async def frith_session_destroyed(event: events.SessionDestroyed) -> None:
    """Log ``session_destroyed``."""
    log.info(
        "session_destroyed",
        **_fields(event.session),
        cleanup=event.cleanup,
        duration=round(event.duration, 6),
    )


@hookimpl
async def frith_sessions_restored(event: events.SessionsRestored) -> None:
    """Log ``sessions_restored``, and a warning for each missing or moved worktree."""
    for session in event.sessions:
        if session.id in event.missing:
            log.warning("worktree_missing", **_fields(session))
        if session.id in event.moved:
            log.warning("worktree_moved", **_fields(session))
    log.info(
        "sessions_restored",
        path=event.workspace,
        count=len(event.sessions),
        swept=event.swept,
        notes=event.notes,
        duration=round(event.duration, 6),
    )


@hookimpl
async def frith_store_corrupted(event: events.StoreCorrupted) -> None:
    """Log ``state_file_corrupted``."""
    log.warning("state_file_corrupted", path=event.where, reason=event.reason)


@hookimpl
async def frith_sessions_recovered(event: events.SessionsRecovered) -> None:
    """Log ``sessions_recovered``."""
    log.warning(
        "sessions_recovered",
        path=event.workspace,
        count=len(event.sessions),
        incomplete=event.incomplete,
        reason=event.reason,
        duration=round(event.duration, 6),
    )


@hookimpl
async def frith_process_exited(event: events.ProcessExited) -> None:
    """Log ``process_exited``, as a warning if the process failed."""
    session = event.session
    write = log.warning if session.status is SessionStatus.ERROR else log.info
    write(
        "process_exited",
        **_fields(session),
        status=session.status,
        exit_code=event.exit.code,
        signal=event.exit.signal,
    )
