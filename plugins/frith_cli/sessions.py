"""Sessions as the command finds them by name, shows them, and opens their terminals."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from anyio import move_on_after
from pydantic_core import to_jsonable_python

from frith import FrithError, Holder, Session, SessionManager, SessionStatus, errors
from frith.model import now
from frith.naming import check_name

COLUMNS = ("NAME", "STATUS", "BRANCH", "ACTIVITY", "ID", "OWNER")
OPTIONAL = ("OWNER", "ID", "ACTIVITY", "BRANCH")
"""The columns that a narrow terminal does not show, the first one first."""
_SHORT = 8
"""How many characters of an id are shown."""
_SHORTEST_PREFIX = 4


class AmbiguousSessionError(FrithError):
    """Several sessions have the given name, or ids with the given prefix."""

    code = "AMBIGUOUS_SESSION"

    def __init__(self, given: str, sessions: Sequence[Session]) -> None:
        matches = ", ".join(f"{session.id} ({session.name})" for session in sessions)
        super().__init__(f"{given!r} may be any of {matches}. Give the id.")
        self.session_ids = tuple(session.id for session in sessions)


class TerminalElsewhereError(FrithError):
    """Only the host of a session can show its terminal."""

    code = "TERMINAL_ELSEWHERE"

    def __init__(self, session: Session, owner: str) -> None:
        super().__init__(
            f"{session.name} runs in a terminal {session.details.terminal!r} that only its host, "
            f"process {owner}, can show. Go there, or stop it and resume it in a terminal 'keeper'."
        )


def select(sessions: Iterable[Session], given: str) -> Session:
    """Return the session whose id, otherwise name, otherwise prefix of the id is ``given``.

    A prefix has at least four characters.

    Raises:
        SessionNotFoundError: no session matches.
        AmbiguousSessionError: several sessions match.
    """
    known = list(sessions)
    prefix = given.lower()
    long_enough = len(given) >= _SHORTEST_PREFIX
    for matches in (
        [session for session in known if session.id == prefix],
        [session for session in known if session.name == given],
        [session for session in known if long_enough and session.id.startswith(prefix)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise AmbiguousSessionError(given, matches)
    raise errors.SessionNotFoundError(given)


def called(sessions: Iterable[Session], session: Session, *, id_length: int | None = _SHORT) -> str:
    """Return how to name ``session`` in a command: by its name if unique and valid, or by its id.

    A name that was edited by hand may be invalid, and need quotes in a shell.
    """
    unique = [each.name for each in sessions].count(session.name) == 1
    return session.name if unique and is_valid(session.name) else session.id[:id_length]


def is_valid(name: str) -> bool:
    """Return whether ``name`` is a valid name of a session."""
    try:
        return bool(check_name(name))
    except errors.InvalidNameError:
        return False


def oldest_first(manager: SessionManager) -> list[Session]:
    """Return the sessions by their time of creation."""
    return sorted(manager.get_all_sessions(), key=lambda session: session.created_at)


@dataclass(frozen=True, slots=True)
class View:
    """A session, and whether a host owns it."""

    session: Session
    """The session with the present state of its process, recorded or not."""
    holder: Holder

    def to_json(self) -> dict[str, Any]:
        """Return the record of the state file, with a key ``frith`` for the rest."""
        details = self.session.details
        known = {
            "holder": self.holder,
            "evidence": self.session.evidence,
            "command": details.command,
            "exit": details.exit,
            "owner": details.owner,
        }
        return self.session.to_record() | {"frith": to_jsonable_python(known)}

    def row(self) -> tuple[str, ...]:
        """Return the cells of :data:`COLUMNS`."""
        session = self.session
        activity = age(now() - session.last_activity)
        id_ = session.id[:_SHORT]
        return (session.name, session.status, session.branch, activity, id_, self.owner())

    def fields(self) -> list[tuple[str, str]]:
        """Return the names and values of everything that is known."""
        session, details, evidence = self.session, self.session.details, self.session.evidence
        known = {
            "name": session.name,
            "id": session.id,
            "status": session.status,
            "status since": evidence and _local_time(evidence.since),
            "status from": evidence and evidence.source,
            "message": evidence and evidence.message,
            "branch": session.branch,
            "worktree": session.worktree_path,
            "process": session.pty_pid,
            "owner": self.owner(),
            "created": _local_time(session.created_at),
            "last activity": _local_time(session.last_activity),
            "command": shlex.join(details.command) if details.command else None,
            "last exit": details.exit,
            "phase": session.current_phase,
            "metadata": json.dumps(session.metadata) if session.metadata else None,
        }
        return [(name, str(value)) for name, value in known.items() if value is not None]

    def owner(self) -> str:
        """Return the owner's process id, with its machine if that is not this one."""
        owner = self.session.details.owner
        if self.holder is Holder.FREE:
            return "-"
        if self.holder is Holder.UNKNOWN or owner is None:
            return "?"
        elsewhere = owner.host not in (None, socket.gethostname())
        return f"{owner.pid}@{owner.host}" if elsewhere else str(owner.pid)


async def view(manager: SessionManager, session: Session) -> View:
    """Return ``session`` with its owner, and without a process that has ended unrecorded."""
    holder = await manager.holder(session.id)
    if session.pty_pid is None or holder is not Holder.FREE:
        return View(session, holder)
    try:
        terminal = await manager.open_terminal(session.id)
        with move_on_after(0):
            ended = await terminal.exited()
            status = SessionStatus.STOPPED if ended.code == 0 else SessionStatus.ERROR
            if terminal.was_shut_down:
                status = SessionStatus.IDLE
            session = session.evolve(status=status, pty_pid=None).detail(exit=ended)
    except (errors.SessionNotRunningError, errors.SessionNotFoundError):
        session = session.evolve(status=SessionStatus.IDLE, pty_pid=None)
    except errors.TerminalError:  # unknown: show what is recorded
        pass
    return View(session, holder)


async def views_of(manager: SessionManager) -> list[View]:
    """Return all sessions, the oldest first."""
    return [await view(manager, session) for session in oldest_first(manager)]


@asynccontextmanager
async def reachable(manager: SessionManager, session: Session) -> AsyncIterator[None]:
    """Open the terminal of ``session`` in the block, and say which host has it if that fails.

    Raises:
        SessionNotRunningError: the session is not running.
        TerminalElsewhereError: only the host of the process can show it.
    """
    try:
        yield
    except errors.SessionNotRunningError:
        seen = await view(manager, manager.get_session(session.id) or session)
        if seen.session.pty_pid is None:
            raise
        raise TerminalElsewhereError(seen.session, seen.owner()) from None


def age(past: timedelta, *, seconds: bool = False) -> str:
    """Return ``past`` in its largest unit: ``5m``, ``3h``, ``12d``.

    Less than a minute is ``now``, or ``7s`` with ``seconds``.
    """
    passed = max(0, int(past.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if passed >= size:
            return f"{passed // size}{unit}"
    return f"{passed}s" if seconds else "now"


def _local_time(moment: datetime) -> str:
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")
