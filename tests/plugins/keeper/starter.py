"""A host in a control group: ``python starter.py GROUP RUNTIME WORKSPACE SCRIPT SESSION…``.

It starts the script for each session and tells their references, then stays until it is killed.
``RUNTIME`` is where it looks for the service manager.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio

import frith_keeper
from frith.ports import SpawnRequest
from frith_keeper import service_managers
from frith_testing.harness.opening import Context


async def run(workspace: Path, script: str, sessions: list[str]) -> None:
    (spec,) = frith_keeper.frith_providers()
    async with spec.factory(spec.config(), Context(workspace)) as spawner:
        warned = await spawner.warnings()
        refs: dict[str, Any] = {}

        async def start(session: str) -> None:
            command = ("sh", "-c", script)
            request = SpawnRequest(session, command, str(workspace), str(workspace))
            refs[session] = (await spawner.spawn(request)).ref

        async with anyio.create_task_group() as tasks:
            for session in sessions:
                tasks.start_soon(start, session)
        print(json.dumps([refs, warned]), flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    group, service_managers._RUNTIME, *rest = sys.argv[1:]
    Path(group, "cgroup.procs").write_text("0")
    anyio.run(run, Path(rest[0]), rest[1], rest[2:])
