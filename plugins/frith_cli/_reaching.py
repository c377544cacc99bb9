"""The terminal of a session, whoever runs it."""

from __future__ import annotations

from frith import FrithError, Session, SessionManager
from frith.errors import SessionNotRunningError
from frith.ports import Terminal
from frith_cli._view import view


class TerminalElsewhereError(FrithError):
    """A session's terminal can be shown by its own host alone."""

    code = "TERMINAL_ELSEWHERE"

    def __init__(self, session: Session, owner: str) -> None:
        super().__init__(
            f"{session.name} runs in a terminal {session.details.terminal!r} that only its host, "
            f"process {owner}, can show. Go there, or stop it and resume it in a terminal 'keeper'."
        )


async def terminal_of(
    manager: SessionManager, session: Session, *, ended: bool = False
) -> Terminal:
    """Return the terminal of ``session``; with ``ended`` also if its process has.

    Raises:
        SessionNotRunningError: it has no process.
        TerminalElsewhereError: its process ends with another host, which alone can show it.
        TerminalError: it cannot be reached.
    """
    try:
        return await manager.open_terminal(session.id, ended=ended)
    except SessionNotRunningError:
        seen = await view(manager, manager.get_session(session.id) or session)
        if seen.session.pty_pid is None:
            raise
        raise TerminalElsewhereError(seen.session, seen.owner()) from None
