"""How many files of this repository one operation runs through; needs Python 3.12."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType

import anyio

from frith import ManagerConfig, SessionManager

ROOT = Path(__file__).parents[2]
HOMES = (f"{ROOT}/core/frith/", f"{ROOT}/plugins/")

Row = tuple[str, float, str]


def run(verbose: bool = False) -> list[Row]:
    """Return rows of what was counted, the number of files, and the most that it may be."""
    return [
        (what, len(files), f"files (bar {bar})")
        for what, files, bar in anyio.run(operations)
        if not verbose or not print(f"  {what}", *sorted(files), sep="\n    ")
    ]


async def operations() -> list[tuple[str, set[str], int]]:
    """Count the files of a creation, a change and a restart, with processes in ``keeper``."""
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", folder, "-c", "user.name=bench", "-c", "user.email=bench@example.org"]
        subprocess.run(["git", "init", "-q", folder], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "start"], check=True)
        config = ManagerConfig(workspace=Path(folder), terminal="keeper", command=("sleep", "99"))
        async with SessionManager(config) as manager:
            with files_run() as creation:
                session = await manager.create_session("bench")
            await anyio.sleep(1.5)  # so that what follows later is not counted as the change's
            with files_run() as change:
                await manager.update_session(session.id, current_phase="two")
        with files_run() as restart:
            manager = SessionManager(config)
            await manager.__aenter__()
        await manager.destroy_session(session.id, cleanup=True, force=True)
        await manager.__aexit__(None, None, None)
        return [
            ("a change of one field", change, 20),
            ("a creation", creation, 50),
            ("a restart", restart, 55),
        ]


@contextmanager
def files_run() -> Iterator[set[str]]:
    """Collect the files of this repository whose functions run in the block, in any thread."""
    found: set[str] = set()
    monitoring = sys.monitoring
    tool = monitoring.PROFILER_ID

    def note(code: CodeType, _offset: int) -> None:
        name = code.co_filename
        if name.startswith(HOMES) and code.co_name != "<module>":
            found.add(name.removeprefix(f"{ROOT}/"))

    monitoring.use_tool_id(tool, "files")
    events = monitoring.events
    for event in (events.PY_START, events.PY_RESUME):
        monitoring.register_callback(tool, event, note)
    monitoring.set_events(tool, events.PY_START | events.PY_RESUME)
    try:
        yield found
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)


if __name__ == "__main__":
    run(verbose=True)
