"""A session to log about."""

from __future__ import annotations

import pytest

from frith.model import Session, SessionStatus, now


@pytest.fixture
def session() -> Session:
    return Session(
        id="4b0a5a2e-0d6e-4a55-9d5a-5d8c1f8d2a11",
        name="login",
        status=SessionStatus.IDLE,
        branch="feature/login",
        worktree_path="/w/.worktrees/4b0a5a2e-0d6e-4a55-9d5a-5d8c1f8d2a11",
        created_at=now(),
        last_activity=now(),
    )
