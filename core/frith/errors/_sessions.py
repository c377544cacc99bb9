"""Errors of requests about a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frith.errors._root import FrithError, SessionError

if TYPE_CHECKING:
    from frith.model import ExitStatus


class InvalidNameError(FrithError):
    """A session name does not match ``[a-zA-Z0-9-]{1,50}``."""

    code = "INVALID_NAME"
    name: str

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid session name {name!r}: use 1 to 50 letters, digits and hyphens.")
        self.name = name


class SessionLimitError(FrithError):
    """The workspace already holds as many sessions as the configuration allows."""

    code = "MAX_SESSIONS"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Maximum {limit} sessions supported. Destroy a session to create a new one."
        )
        self.limit = limit


class SessionNotFoundError(FrithError):
    """No session has this id."""

    code = "SESSION_NOT_FOUND"
    session_id: str

    def __init__(self, session_id: str) -> None:
        super().__init__(f"There is no session {session_id!r}. List the sessions to see their ids.")
        self.session_id = session_id


class SessionOwnedError(SessionError):
    """Another process owns the session, or it is unknown whether one does.

    Attributes:
        certain: whether another process owns it for certain.
        holder: description of that process, for the user; empty if nothing is known.
    """

    code = "SESSION_OWNED"
    certain: bool
    holder: str

    def __init__(self, session_id: str, *, certain: bool = True, holder: str = "") -> None:
        verb = "is" if certain else "may be"
        by = f" ({holder})" if holder else ""
        super().__init__(
            f"Session {{session}} {verb} owned by another process{by}. "
            "Stop it first, then try again.",
            session_id,
        )
        self.certain = certain
        self.holder = holder


class SessionRunningError(SessionError):
    """The operation needs a session without a process, and this one has one."""

    code = "SESSION_RUNNING"

    def __init__(self, session_id: str) -> None:
        super().__init__("Session {session} is running already. Stop it first.", session_id)


class SessionNotRunningError(SessionError):
    """The operation needs the terminal of a running session, and there is none here.

    Attributes:
        elsewhere: whether another host runs the session, and only that host can show its terminal.
        exit_status: how the last process of the session ended; ``None`` if that is not known.
    """

    code = "SESSION_NOT_RUNNING"
    elsewhere: bool
    exit_status: ExitStatus | None

    def __init__(
        self, session_id: str, *, elsewhere: bool = False, exit_status: ExitStatus | None = None
    ) -> None:
        if elsewhere:
            message = (
                "This host is not running session {session}, another host is. "
                "Use it there, or stop it first and resume it here."
            )
        else:
            ended = f": its process ended with {exit_status}" if exit_status is not None else ""
            message = f"Session {{session}} is not running{ended}. Resume it first."
        super().__init__(message, session_id)
        self.elsewhere = elsewhere
        self.exit_status = exit_status


class SessionVetoed(FrithError):  # noqa: N818 - raised by plugins as a verdict, not a fault
    """A plugin refused the creation or destruction of a session.

    Raise it from ``frith_session_creating`` or ``frith_session_destroying`` with the reason
    alone; frith fills in ``plugin``.
    """

    code = "SESSION_VETOED"
    reason: str
    plugin: str | None

    def __init__(self, reason: str, plugin: str | None = None) -> None:
        by = f" by plugin {plugin!r}" if plugin else ""
        super().__init__(f"Refused{by}: {reason}")
        self.reason = reason
        self.plugin = plugin


class VetoHookFailedError(FrithError):
    """A plugin that may veto failed or took too long, so its decision is unknown."""

    code = "VETO_HOOK_FAILED"
    plugin: str
    reason: str

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(
            f"Plugin {plugin!r} failed before it decided whether this may go on: {reason}. "
            "Fix or block the plugin, then try again."
        )
        self.plugin = plugin
        self.reason = reason


class ManagerClosedError(FrithError):
    """The manager is not open: use it inside ``async with SessionManager(...)``."""

    code = "MANAGER_CLOSED"

    def __init__(self) -> None:
        super().__init__("The session manager is not open. Use it inside `async with`.")
