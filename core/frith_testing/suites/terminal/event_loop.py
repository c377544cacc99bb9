"""Terminals in programs that anyio does not start."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from frith.model import Session
from frith_testing.harness.base import Opening
from frith_testing.harness.process import elsewhere
from frith_testing.harness.promises import promise
from frith_testing.suites.terminal.adoption import outliving
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.shells import Spawn, output_of, shown


class EventLoopConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about programs that anyio does not start.

    The tests run in another process, which ends as soon as a callback raises, because code that
    waits for that callback, such as closing the provider, would hang.
    """

    @promise(since="1.1")
    async def test_the_end_of_a_process_is_noticed_under_asyncio_run(
        self, opening: Opening
    ) -> None:
        async with (
            outliving(opening) as session,
            elsewhere(sees_the_end, opening, session) as program,
        ):
            assert await program.step() == [3, "ready\r\ninput\r\n"]


async def sees_the_end(opening: Opening, session: Session) -> AsyncIterator[tuple[Any, str]]:
    """In a program started by ``asyncio.run``: yield the exit code of a process, and its output."""
    asyncio.get_running_loop().set_exception_handler(_end_at_once)
    script = "stty -echo; echo ready; read -r line; echo $line; exit 3"
    async with opening.open() as spawner:
        terminal = await Spawn(spawner, opening.workspace)(script, session=session)
        await shown(terminal, b"ready")
        await terminal.write(b"input\n")
        output = await output_of(terminal)
        status = await terminal.exited()
    yield status.code, output.decode()


def _end_at_once(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    loop.default_exception_handler(context)
    os._exit(1)
