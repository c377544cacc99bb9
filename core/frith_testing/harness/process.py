"""The provider under test in another process, which can be killed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from frith_testing.harness.base import PATIENCE


class Elsewhere:
    """Another process that runs from one ``yield`` of its steps to the next on request."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = BufferedByteReceiveStream(process.stdout)

    async def step(self) -> Any:
        """Let the process run to its next ``yield``; return what it yielded."""
        with anyio.fail_after(PATIENCE):
            try:
                await self._stdin.send(b"\n")
                return json.loads(await self._stdout.receive_until(b"\n", 1 << 20))
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                pytest.fail("the other process failed; its traceback is in the captured stderr")

    async def kill(self) -> None:
        """Send SIGKILL to the process and wait until it has ended."""
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def elsewhere(
    steps: Callable[..., AsyncIterator[Any]], *args: object
) -> AsyncIterator[Elsewhere]:
    """Run the asynchronous generator function ``steps(*args)`` in another process.

    Both must be picklable, so defined in a module that can be imported. It must yield JSON values.
    The process runs ``asyncio.run``, whatever the backend of this one.
    """
    command, env = program(steps, *args)
    process = await anyio.open_process(command, stderr=None, env={**os.environ, **env})
    try:
        yield Elsewhere(process)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


def program(
    steps: Callable[..., AsyncIterator[Any]], *args: object
) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs ``steps(*args)``, and the variables that it needs.

    It runs from one ``yield`` to the next for each line of its input, and prints what it yielded.
    """
    try:
        job = base64.b64encode(pickle.dumps((steps, args)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        pytest.fail(
            f"another process cannot open the provider: {error}. Define the provider, its factory "
            "and its options in a module that can be imported."
        )
    paths = os.pathsep.join(filter(None, sys.path))
    return [sys.executable, "-m", __name__, job.decode()], {"PYTHONPATH": paths}


async def _end(process: Process) -> None:
    """Let the process close its provider and end; kill it if it does not."""
    assert process.stdin is not None
    await process.stdin.aclose()
    with anyio.move_on_after(PATIENCE):
        await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()


async def _follow(job: str) -> None:
    steps, args = pickle.loads(base64.b64decode(job))  # noqa: S301 - our own parent's
    async with aclosing(steps(*args)) as running:
        while await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            print(json.dumps(await anext(running)), flush=True)


if __name__ == "__main__":
    asyncio.run(_follow(sys.argv[1]))
