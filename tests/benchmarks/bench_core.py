"""The core against its bounds: a dictionary, one write, the import of what it builds on."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import anyio

from frith import ManagerConfig, SessionManager

ROUNDS = 11
LIBRARIES = "import pydantic, anyio, structlog, pluggy"

Row = tuple[str, float, str]


def run() -> list[Row]:
    """Return rows of what was measured, the figure, and what it is measured in or against."""
    return [*imports(), *anyio.run(sessions)]


def imports() -> list[Row]:
    """Time importing, each round in a fresh interpreter, interleaved."""
    programs = (LIBRARIES, "import frith", "from frith import SessionManager")
    times: dict[str, list[float]] = {program: [] for program in programs}
    for _ in range(ROUNDS):
        for program in programs:
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times[program].append(time.perf_counter() - began)
    bound = median(times[LIBRARIES])
    return [
        (program, median(times[program]) / bound, f"x `{LIBRARIES}` ({bound * 1e3:.0f} ms)")
        for program in programs[1:]
    ]


async def sessions() -> list[Row]:
    """Time look-ups and changes of one session in a real repository."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "init", "-q", folder], check=True)
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
        commit = ["commit", "-q", "--allow-empty", "-m", "start"]
        subprocess.run(["git", *identity, *commit], cwd=folder, check=True)
        async with SessionManager(ManagerConfig(workspace=Path(folder))) as manager:
            session = await manager.create_session("bench", start=False)
            return [*look_up(manager, session.id), *await changes(manager, session.id)]


def look_up(manager: SessionManager, session_id: str) -> list[Row]:
    """Time finding a session against finding a key in a dictionary."""
    bare = {session_id: object()}
    found, bound = (
        _per_call(lambda: manager.get_session(session_id)),
        _per_call(lambda: bare.get(session_id)),
    )
    return [
        ("look-up of a session", found / bound, f"x dict.get ({bound * 1e9:.0f} ns)"),
        ("look-up of a session", found * 1e6, "µs"),
    ]


def _per_call(function: Callable[[], object], calls: int = 100_000) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            function()
        rounds.append((time.perf_counter() - began) / calls)
    return median(rounds)


async def changes(manager: SessionManager, session_id: str) -> list[Row]:
    """Time a hundred concurrent changes of one session against a single one."""
    single, hundred = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await manager.update_last_activity(session_id)
        single.append(time.perf_counter() - began)
        began = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(manager.update_last_activity, session_id)
        hundred.append(time.perf_counter() - began)
    bound = median(single)
    return [
        (
            "100 concurrent changes of one session",
            median(hundred) / bound,
            f"x one change ({bound * 1e3:.1f} ms)",
        )
    ]
