"""A session in a program that starts its event loop by itself: nothing of anyio's own runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import pytest

from spinney import ManagerConfig, SessionManager, SessionStatus

SCRIPT = Path(__file__).with_name("plain.py")


class CallbackRaisedError(Exception):
    """A callback of the event loop raised, so what waits for it waits for ever."""


def in_no_task(reason: str, *, broken: bool = True) -> pytest.MarkDecorator:
    return pytest.mark.xfail(broken, raises=CallbackRaisedError, strict=True, reason=reason)


ANYIO = tuple(map(int, version("anyio").split(".")[:2]))
PTY = in_no_task("anyio 4.14 and later start no task in a callback", broken=ANYIO >= (4, 14))
KEEPER = in_no_task("anyio knows no event loop in a callback")


@pytest.fixture
def told(
    workspace: Path, terminal: str, left: Callable[[], set[int]]
) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Run the script on a library and return what it tells; no keeper outlives the test."""

    def run(library: str) -> dict[str, Any]:
        command = [sys.executable, str(SCRIPT), str(workspace), terminal, library]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        told: dict[str, Any] = json.loads(done.stdout)
        if raised := told.get("raised"):
            raise CallbackRaisedError(raised)
        return told

    async def settle() -> None:
        async with SessionManager(ManagerConfig(workspace=workspace, terminal=terminal)) as manager:
            for session in manager.get_all_sessions():
                await manager.stop_session(session.id)

    yield run
    anyio.run(settle)


@pytest.mark.parametrize(
    ("terminal", "library"),
    [
        pytest.param("pty", "asyncio", marks=PTY),
        pytest.param("keeper", "asyncio", marks=KEEPER),
        ("pty", "trio"),
        ("keeper", "trio"),
    ],
)
def test_the_end_and_the_output_of_a_process_are_seen(
    told: Callable[[str], dict[str, Any]], library: str
) -> None:
    assert told(library) == {"status": SessionStatus.ERROR, "code": 3, "output": "hi\r\n"}
