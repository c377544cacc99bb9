"""A host in a process of its own, controlled through a pipe.

``python host.py WORKSPACE BACKEND LIMIT TERMINAL``. Each line of standard input is a list of calls,
``[method, arguments, keywords]``, made concurrently; each line of standard output is the list of
their outcomes, ``[value, null]`` or ``[null, [code, message]]``. The first line of output is the
list of the restored sessions.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio

from frith import FrithError, ManagerConfig, Session, SessionManager


def plain(value: Any) -> Any:
    if isinstance(value, Session):
        command = value.details.command
        return value.to_record() | {"command": command and list(command)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | None) else str(value)


async def lines() -> AsyncIterator[bytes]:
    pending = b""
    while True:
        await anyio.wait_readable(0)
        data = os.read(0, 65536)
        if not data:
            return
        *whole, pending = (pending + data).split(b"\n")
        for line in whole:
            yield line


async def outcome(manager: SessionManager, call: list[Any]) -> list[Any]:
    method, arguments, keywords = call
    try:
        value = getattr(manager, method)(*arguments, **keywords)
        return [plain(await value if hasattr(value, "__await__") else value), None]
    except FrithError as error:
        return [None, [error.code, str(error)]]


async def obey(workspace: Path, limit: int, terminal: str) -> None:
    config = ManagerConfig(
        workspace=workspace, max_sessions=limit, terminate_grace=2, terminal=terminal
    )
    async with SessionManager(config) as manager:
        say(plain(manager.get_all_sessions()))
        async for line in lines():
            calls = json.loads(line)
            outcomes: list[Any] = [None] * len(calls)

            async def one(index: int, call: list[Any], into: list[Any] = outcomes) -> None:
                into[index] = await outcome(manager, call)

            async with anyio.create_task_group() as tasks:
                for index, call in enumerate(calls):
                    tasks.start_soon(one, index, call)
            say(outcomes)


def say(value: Any) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    anyio.run(obey, Path(sys.argv[1]), int(sys.argv[3]), sys.argv[4], backend=sys.argv[2])
