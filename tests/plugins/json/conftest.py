"""A workspace, its state file, and second processes that use it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from frith.model import Session, SessionStatus, now
from frith_json.options import JsonOptions
from frith_json.store import JsonStore
from state_files import Actor, MakeSession, OpenStore, StartActor


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    (path / ".git").mkdir(parents=True)
    return path


@pytest.fixture
def state(workspace: Path) -> Path:
    return workspace / ".claude-container-sessions.json"


@pytest.fixture
def make() -> MakeSession:
    def make(name: str = "one", **fields: Any) -> Session:
        known = {
            "id": str(uuid4()),
            "name": name,
            "status": SessionStatus.IDLE,
            "branch": f"feature/{name}",
            "worktreePath": f"/workspace/.worktrees/{name}",
            "createdAt": now(),
            "lastActivity": now(),
        }
        return Session.model_validate(known | fields)

    return make


@pytest.fixture
def open_store(workspace: Path) -> OpenStore:
    def open_store(**options: Any) -> AbstractAsyncContextManager[JsonStore]:
        return JsonStore.opened(workspace, JsonOptions.model_validate(options))

    return open_store


@pytest.fixture
def start_actor(workspace: Path) -> Iterator[StartActor]:
    """Start ``actor.py`` in a second process; it says ``ready`` once it does what it was told."""
    with ExitStack() as stack:

        def start(*words: str, ready: bool = True) -> Actor:
            script = Path(__file__).with_name("actor.py")
            process = subprocess.Popen(
                [sys.executable, str(script), str(workspace), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(_end, process)
            if ready:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            return process

        yield start


def _end(process: Actor) -> None:
    process.kill()
    process.communicate()
