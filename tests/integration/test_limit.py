"""The limit of sessions under concurrent creation."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.expensive("starts hosts, each a process of its own")

PROCESSES = 4
CALLS_EACH = 25
LIMIT = 4


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.requirement("R2.3")
@pytest.mark.requirement("R2.4")
def test_of_a_hundred_creations_from_four_processes_exactly_four_succeed(
    start_host: Callable[..., Any], git: Callable[..., str], workspace: Path
) -> None:
    hosts = [start_host(limit=LIMIT) for _ in range(PROCESSES)]
    assert [host.restored for host in hosts] == [[]] * PROCESSES
    with ThreadPoolExecutor(PROCESSES) as pool:
        answers = pool.map(_create_all_at_once, hosts, range(PROCESSES))
        outcomes = [outcome for answer in answers for outcome in answer]
    created = [value for value, error in outcomes if error is None]
    errors = [error for _, error in outcomes if error is not None]
    message = "Maximum 4 sessions supported. Destroy a session to create a new one."
    assert errors == [["MAX_SESSIONS", message]] * (PROCESSES * CALLS_EACH - LIMIT)
    assert len(created) == LIMIT
    _require_nothing_left(workspace, git, created)


def _create_all_at_once(host: Any, process: int) -> list[list[Any]]:
    """Create every other session with its own name, the rest with the same generated name."""
    names = [f"p{process}-{call}" if call % 2 else None for call in range(CALLS_EACH)]
    keywords = {"command": ["sleep", "60"]}
    answers: list[list[Any]] = host.all_at_once(*(("create_session", [n], keywords) for n in names))
    return answers


def _require_nothing_left(
    workspace: Path, git: Callable[..., str], created: list[dict[str, Any]]
) -> None:
    stored = json.loads((workspace / ".claude-container-sessions.json").read_text())
    assert {s["id"] for s in stored["sessions"]} == {s["id"] for s in created}
    assert not stored["frith"].get("reservations")
    worktrees = {path.name for path in (workspace / ".worktrees").iterdir()}
    assert worktrees == {session["id"] for session in created}
    branches = git(workspace, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    assert set(branches) == {"main", *(session["branch"] for session in created)}
    listed = git(workspace, "worktree", "list", "--porcelain").count("worktree ")
    assert listed == 1 + LIMIT
