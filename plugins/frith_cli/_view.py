"""A session as it truly is, and how it is shown."""

from __future__ import annotations

import json
import shlex
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from anyio import move_on_after

from frith import Holder, Session, SessionManager, SessionStatus
from frith.errors import SessionNotFoundError, SessionNotRunningError, TerminalError
from frith.model import now
from frith_cli._select import SHORT

COLUMNS = ("NAME", "STATUS", "BRANCH", "ACTIVITY", "ID", "OWNER")
LESS_NEEDED = ("OWNER", "ID", "ACTIVITY", "BRANCH")
"""The columns that a narrow terminal does not show, the first to go first."""


@dataclass(frozen=True, slots=True)
class View:
    """A session, and whether somebody owns it."""

    session: Session
    """As the next start will find it: if its owner is gone, as its process is now."""
    holder: Holder

    def to_json(self) -> dict[str, Any]:
        """Return the agreed record and one more key, ``frith``, with what only we know."""
        details = self.session.details
        evidence = self.session.evidence
        return self.session.to_record() | {
            "frith": {
                "holder": self.holder.value,
                "evidence": evidence and evidence.model_dump(mode="json", by_alias=True),
                "command": list(details.command) if details.command is not None else None,
                "exit": details.exit and details.exit.model_dump(mode="json", by_alias=True),
                "owner": details.owner and details.owner.model_dump(mode="json", by_alias=True),
            }
        }

    def row(self) -> tuple[str, ...]:
        """Return a line of the table, as :data:`COLUMNS` say."""
        session = self.session
        activity = age(now() - session.last_activity)
        return (
            session.name,
            session.status,
            session.branch,
            activity,
            session.id[:SHORT],
            self.owner(),
        )

    def fields(self) -> list[tuple[str, str]]:
        """Return all that is known, by name; what is absent is left out."""
        session, details, evidence = self.session, self.session.details, self.session.evidence
        known = {
            "name": session.name,
            "id": session.id,
            "status": session.status,
            "status since": evidence and local_time(evidence.since),
            "status from": evidence and evidence.source,
            "message": evidence and evidence.message,
            "branch": session.branch,
            "worktree": session.worktree_path,
            "process": session.pty_pid,
            "owner": self.owner(),
            "created": local_time(session.created_at),
            "last activity": local_time(session.last_activity),
            "command": shlex.join(details.command) if details.command else None,
            "last exit": details.exit,
            "phase": session.current_phase,
            "metadata": json.dumps(session.metadata) if session.metadata else None,
        }
        return [(name, str(value)) for name, value in known.items() if value is not None]

    def owner(self) -> str:
        """Return who owns the session: a process id, with its host if that is another one."""
        owner = self.session.details.owner
        if self.holder is Holder.FREE:
            return "-"
        if self.holder is Holder.UNKNOWN or owner is None:
            return "?"
        elsewhere = owner.host not in (None, socket.gethostname())
        return f"{owner.pid}@{owner.host}" if elsewhere else str(owner.pid)


async def view(manager: SessionManager, session: Session) -> View:
    """Return ``session`` as it truly is: a process that its host has left runs on, or does not."""
    holder = await manager.holder(session.id)
    if session.pty_pid is not None and holder is Holder.FREE:
        session = await _without_host(manager, session)
    return View(session, holder)


async def _without_host(manager: SessionManager, session: Session) -> Session:
    try:
        terminal = await manager.open_terminal(session.id)
        with move_on_after(0):
            ended = await terminal.exited()
            status = SessionStatus.STOPPED if ended.code == 0 else SessionStatus.ERROR
            if terminal.was_shut_down:
                status = SessionStatus.IDLE
            return session.evolve(status=status, pty_pid=None).detail(exit=ended)
    except (SessionNotRunningError, SessionNotFoundError):
        return session.evolve(status=SessionStatus.IDLE, pty_pid=None)
    except TerminalError:  # it cannot be told
        pass
    return session


def age(past: timedelta, *, seconds: bool = False) -> str:
    """Return how long ago something was, in its largest unit: ``5m``, ``3h``, ``12d``.

    Less than a minute is ``now``, or ``7s`` if ``seconds`` are asked for.
    """
    passed = max(0, int(past.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if passed >= size:
            return f"{passed // size}{unit}"
    return f"{passed}s" if seconds else "now"


def local_time(moment: datetime) -> str:
    """Return ``moment`` for a person: local time to the second, with its offset."""
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")
