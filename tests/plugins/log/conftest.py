"""Logging as a fresh process has it, and a session to log about."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from spinney.model import Session, SessionStatus, now


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Undo whatever a test does to structlog and to the logger ``spinney``."""
    structlog.reset_defaults()
    logger = logging.getLogger("spinney")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    structlog.reset_defaults()
    for handler in set(logger.handlers) - set(before[0]):
        handler.close()
    logger.handlers[:], logger.level, logger.propagate = before


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
