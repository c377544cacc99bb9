"""Sessions in a program that starts its event loop without anyio."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith import ManagerConfig, SessionManager, SessionStatus

SCRIPT = Path(__file__).with_name("plain.py")


@pytest.fixture
def told(
    workspace: Path, terminal: str, left: Callable[[], set[int]]
) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Run the script on a program and return its report; no keeper outlives the test."""

    def run(program: str) -> dict[str, Any]:
        command = [sys.executable, str(SCRIPT), str(workspace), terminal, program]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    async def settle() -> None:
        async with SessionManager(ManagerConfig(workspace=workspace, terminal=terminal)) as manager:
            for session in manager.get_all_sessions():
                await manager.stop_session(session.id)

    yield run
    anyio.run(settle)


@pytest.mark.requirement("R10.1")
@pytest.mark.parametrize("program", ["asyncio", "uvloop", "uvicorn", "trio"])
@pytest.mark.parametrize("terminal", ["pty", "keeper"])
def test_output_exit_and_changes_of_a_session_are_seen_without_an_event_loop_of_anyio(
    told: Callable[[str], dict[str, Any]], program: str
) -> None:
    assert told(program) == {
        "status": SessionStatus.ERROR,
        "code": 3,
        "output": "hi\r\n",
        "changes": ["created", "exited", "updated"],
    }
