"""Sample sessions and reservations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from frith.model import (
    Details,
    ExitStatus,
    Owner,
    Reservation,
    Session,
    SessionStatus,
    now,
)

ODD_TEXTS = ("", " ", "ünïcödé 🦔", "a\nb\r\t\x00\x1b[2J", '"\\/', "\u2028\u202e", "x" * 10_000)
"""Texts that a careless encoding changes or loses."""


def a_session(**changes: Any) -> Session:
    """Return a new session with the required fields and ``changes``."""
    session_id = str(uuid4())
    return Session(
        id=session_id,
        name="sample",
        status=SessionStatus.IDLE,
        branch=f"feature/{session_id}",
        worktree_path=f"/nowhere/.worktrees/{session_id}",
        created_at=now(),
        last_activity=now(),
    ).evolve(**changes)


def a_full_session(**changes: Any) -> Session:
    """Return a new session with every field, unknown ones included, and ``changes``."""
    bare = a_session()
    return Session.model_validate(
        {
            **bare.to_record(),
            "status": "error",
            "ptyPid": 4711,
            "createdAt": datetime(2025, 11, 24, 10, 30, 0, 7000, tzinfo=UTC),
            "lastActivity": datetime(2025, 11, 24, 23, 59, 59, 999000, tzinfo=UTC),
            "currentPhase": ODD_TEXTS[2],
            "metadata": {"texts": list(ODD_TEXTS), "nested": {"null": None, "list": [{}, []]}},
            "unknownField": {"integer": 2**70 + 1, "fraction": 0.1, "truth": True, "text": "1.0"},
        }
    ).evolve(
        details=Details.model_validate(
            {
                "command": ("sh", "-c", ODD_TEXTS[3].replace("\x00", "")),
                "terminal": "pty",
                "terminalRef": {"token": "t", "numbers": [1, 2.5]},
                "desired": "stopped",
                "exit": ExitStatus(signal=9),
                "owner": Owner(pid=1, start_time="12", boot_id="b", host="h"),
                "unknownDetail": ["later", "version"],
            }
        ),
        **changes,
    )


def a_reservation(**changes: Any) -> Reservation:
    """Return a new reservation with every field, and ``changes``."""
    session = a_session()
    return Reservation(
        id=session.id,
        name=session.name,
        branch=session.branch,
        worktree_path=session.worktree_path,
        creates_branch=True,
        base_oid="0" * 40,
        created_at=session.created_at,
    ).model_copy(update=changes)
