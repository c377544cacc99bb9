"""Creates and destroys sessions: ``python cycling.py WORKSPACE BACKEND NAME COUNT``.

Each session writes numbered lines. It is viewed, left by its host, adopted, viewed and written to;
then its process is killed or stopped, or the session destroyed. Prints which lines a lossless
viewer missed, and how many more descriptors and child processes this process has than at its start.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

from frith import ManagerConfig, SessionManager
from frith.ports import AttachMode, Chunk, Terminal

LINES = """
stty -echo
i=0
while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done
read go
while :; do echo line $i; i=$((i+1)); done
"""
TOLD = b"line 99\r\n"


class Viewer:
    """A lossless viewer of all output."""

    def __init__(self) -> None:
        self.seen = b""
        self.more = anyio.Event()

    async def look(self, terminal: Terminal, *, task_status: TaskStatus[None]) -> None:
        async with terminal.attach(0, AttachMode.LOSSLESS) as view:
            self.seen = view.snapshot
            task_status.started()
            async for part in view:
                assert isinstance(part, Chunk)
                self.seen += part.data
                self.more.set()

    async def until(self, length: int) -> None:
        while len(self.seen) < length:
            self.more = anyio.Event()
            await self.more.wait()

    def lost(self) -> int | None:
        """Return the number of the first line that differs from the written one, if any."""
        *lines, rest = self.seen.split(b"\r\n")
        for number, line in enumerate(lines):
            if line != f"line {number}".encode():
                return number
        whole = f"line {len(lines)}\r".encode()
        return None if whole.startswith(rest) else len(lines)


async def cycle(manager: SessionManager, name: str, number: int) -> str | None:
    session = await manager.create_session(f"{name}-{number}", command=["sh", "-c", LINES])
    terminal = manager.terminal(session.id)
    viewer = Viewer()
    async with anyio.create_task_group() as tasks:
        await tasks.start(viewer.look, terminal)
        await viewer.until(len(TOLD))
        async with terminal.attach() as view:
            while TOLD not in view.snapshot:
                part = await anext(view.__aiter__())
                if isinstance(part, Chunk) and TOLD in part.data:
                    break
        await terminal.write(b"go\n")
        await viewer.until(len(viewer.seen) + 5000)
        if number % 3 == 0:
            await terminal.signal(signal.SIGKILL)
            await manager.wait_ended(session.id)
        elif number % 3 == 1:
            await manager.stop_session(session.id)
        await manager.destroy_session(session.id, cleanup=True)
    lost = viewer.lost()
    return None if lost is None else f"{session.name}: line {lost}"


def has() -> dict[str, int]:
    """Return the number of descriptors and child processes of this process."""
    tasks = Path("/proc/self/task").iterdir()
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "children": sum(map(_children, tasks)),
    }


def _children(task: Path) -> int:
    try:
        return len((task / "children").read_text().split())
    except FileNotFoundError:  # a thread that has just ended
        return 0


async def cycles(workspace: Path, name: str, numbers: range) -> list[str]:
    config = ManagerConfig(
        workspace=workspace, terminal="keeper", max_sessions=100, terminate_grace=0.2
    )
    async with SessionManager(config) as manager:
        lost = [await cycle(manager, name, number) for number in numbers]
    return [what for what in lost if what]


async def run(workspace: Path, name: str, count: int) -> None:
    lost = await cycles(workspace, name, range(1))  # the first cycle opens what all use
    before = has()
    lost += await cycles(workspace, name, range(1, count))
    more = {what: number - before[what] for what, number in has().items() if number > before[what]}
    say({"lost": lost, "more": more})


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    _, where, backend, called, how_many = sys.argv
    anyio.run(run, Path(where), called, int(how_many), backend=backend)
