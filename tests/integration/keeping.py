"""A host of processes that outlive it: ``python keeping.py WORKSPACE BACKEND COUNT COMMAND``.

It starts the command in COUNT sessions, or adopts those that exist, and appends their output to
files in ``WORKSPACE.seen``, each from its current end on. Once it has caught up with all sessions
it prints their ids, process ids, keepers and states; when all have ended it prints that.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

from frith import ManagerConfig, SessionManager
from frith.ports import AttachMode, Chunk


async def follow(
    manager: SessionManager, session_id: str, seen: Path, *, task_status: TaskStatus[None]
) -> None:
    with (seen / session_id).open("ab", buffering=0) as file:
        start = file.tell()
        terminal = manager.terminal(session_id)
        async with terminal.attach(start, AttachMode.LOSSLESS) as view:
            assert view.offset == start, f"{view.offset - start} bytes are lost"
            file.write(view.snapshot)
            task_status.started()
            async for part in view:
                assert isinstance(part, Chunk)
                file.write(part.data)
    await manager.wait_ended(session_id)


async def keep(workspace: Path, count: int, command: str) -> None:
    seen = workspace.with_name(f"{workspace.name}.seen")
    seen.mkdir(exist_ok=True)
    config = ManagerConfig(workspace=workspace, terminal="keeper", max_sessions=count)
    async with SessionManager(config) as manager:
        if not manager.get_all_sessions():
            for number in range(count):
                await manager.create_session(f"s{number}", command=["sh", "-c", command])
        sessions = manager.get_all_sessions()
        async with anyio.create_task_group() as tasks:
            for session in sessions:
                await tasks.start(follow, manager, session.id, seen)
            keepers = [(session.details.terminal_ref or {}).get("keeper") for session in sessions]
            say([[s.id, s.pty_pid, k, s.status] for s, k in zip(sessions, keepers, strict=True)])
        say("end")


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    _, where, backend, number, what = sys.argv
    anyio.run(keep, Path(where), int(number), what, backend=backend)
