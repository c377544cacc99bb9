"""A host in a process of its own: ``python host.py WORKSPACE SESSION SCRIPT``.

Its standard input is its controlling terminal. It starts the script, gives it a window, tells its
pid and reference once that has written `ready`, and stays until it is killed.
"""

from __future__ import annotations

import fcntl
import json
import sys
import termios
from pathlib import Path

import anyio

import frith_keeper
from frith.ports import Chunk, Size, SpawnRequest
from frith_testing.harness.opening import Context


async def run(workspace: Path, session_id: str, script: str) -> None:
    (spec,) = frith_keeper.frith_providers()
    command = ("sh", "-c", script)
    request = SpawnRequest(session_id, command, str(workspace), str(workspace))
    async with spec.factory(spec.config(), Context(workspace)) as spawner:
        terminal = await spawner.spawn(request)
        async with terminal.attach() as view:
            seen = view.snapshot
            while b"ready" not in seen:
                item = await anext(aiter(view))
                assert isinstance(item, Chunk)
                seen += item.data
        await terminal.resize("host", Size())
        print(json.dumps([terminal.pid, terminal.ref]), flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    anyio.run(run, Path(sys.argv[1]), sys.argv[2], sys.argv[3])
