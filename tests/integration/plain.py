"""A session from start to exit: ``python plain.py WORKSPACE TERMINAL PROGRAM``.

The event loop is started by ``asyncio``, ``uvloop``, ``uvicorn`` or ``trio``, not by anyio. Prints
the exit and output of the session, or the first exception that a callback of the loop raises.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import anyio
import trio
import uvicorn
import uvloop

from frith import (
    AllSessions,
    ChangeReader,
    Ended,
    ManagerConfig,
    SessionChange,
    SessionManager,
    Size,
)

PATIENCE = 60
# It waits for input, so that its end is never known already when the terminal is opened.
COMMAND = ["sh", "-c", "stty -echo; echo hi; read -r _; exit 3"]


async def story(workspace: Path, provider: str) -> None:
    config = ManagerConfig(workspace=workspace, terminal=provider)
    with anyio.fail_after(PATIENCE):
        async with SessionManager(config) as manager, manager.changes() as changes:
            assert isinstance(await anext(aiter(changes)), AllSessions)
            session = await manager.create_session(command=COMMAND)
            created = await seen(changes)
            async with manager.view(session.id, size=Size(20, 60)) as view:
                shown, items = "", view.text()
                while "hi" not in shown:
                    item = await anext(items)
                    shown += "" if isinstance(item, Ended) else item.data
                await view.write(b"\n")
                while not isinstance(item, Ended):
                    item = await anext(items)
            ended = await manager.wait_ended(session.id)
            assert item.exit is not None
            assert item.exit == ended.details.exit
            async with view.terminal.attach() as attached:
                output = attached.snapshot
            say(
                status=ended.status,
                code=item.exit.code,
                output=output.decode(),
                changes=sorted(created | await seen(changes)),
            )


async def seen(changes: ChangeReader) -> set[str]:
    """Return what has happened since the last call."""
    kinds: set[str] = set()
    while changes.has_next:
        item = await anext(aiter(changes))
        assert isinstance(item, SessionChange)
        kinds |= item.kinds
    return kinds


async def in_a_web_server(workspace: Path, provider: str) -> None:
    async def application(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await on_asyncio(workspace, provider)
        await send({"type": "lifespan.startup.complete"})
        server.should_exit = True
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    server = uvicorn.Server(uvicorn.Config(application, port=0, lifespan="on", log_level="error"))
    await server.serve()


async def on_asyncio(workspace: Path, provider: str) -> None:
    asyncio.get_running_loop().set_exception_handler(give_up)
    await story(workspace, provider)


def give_up(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> NoReturn:
    say(raised=repr(context.get("exception", context["message"])))
    os._exit(1)


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    _, where, called, program = sys.argv
    match program:
        case "trio":
            trio.run(story, Path(where), called)
        case "uvicorn":
            asyncio.run(in_a_web_server(Path(where), called))
        case "uvloop":
            uvloop.run(on_asyncio(Path(where), called))
        case "asyncio":
            asyncio.run(on_asyncio(Path(where), called))
