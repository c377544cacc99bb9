"""A workspace whose disk hangs holds up no other one of the same process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import uvicorn
import uvloop

from frith import (
    ManagerConfig,
    Options,
    ProviderContext,
    ProviderSpec,
    Role,
    SessionManager,
    hookimpl,
)
from waiting import PATIENCE, until

THREADS = 40
"""Threads in which the providers of a manager may block."""
Story = Callable[[], Coroutine[Any, Any, None]]


class Hanging:
    """The workspace provider `git`; while ``disk`` is not set, inspecting blocks its thread."""

    def __init__(self) -> None:
        self.disk = threading.Event()
        self.limiter: anyio.CapacityLimiter | None = None

    @property
    def blocked(self) -> int:
        return self.limiter.borrowed_tokens if self.limiter else 0

    @hookimpl
    def frith_providers(self) -> Iterable[ProviderSpec]:
        return [ProviderSpec(Role.WORKSPACE, "hanging", self.open)]

    @asynccontextmanager
    async def open(self, _: Options, context: ProviderContext) -> AsyncIterator[Any]:
        async def inspect(_: Any) -> Any:
            return await anyio.to_thread.run_sync(
                self.disk.wait, limiter=context.limiter, abandon_on_cancel=True
            )

        self.limiter = context.limiter
        async with context.open(Role.WORKSPACE, "git") as git:
            git.inspect = inspect
            yield git


async def story(hung: Path, sound: Path) -> None:
    """Block every thread of the one manager, then use the other one."""
    hanging = Hanging()
    config = ManagerConfig(workspace=hung, workspace_provider="hanging")
    try:
        async with (
            SessionManager(config, plugins={"hanging": hanging}) as one,
            SessionManager(ManagerConfig(workspace=sound)) as other,
            anyio.create_task_group() as tasks,
        ):
            session = await one.create_session(start=False)
            for _ in range(THREADS + 5):
                tasks.start_soon(one.inspect_session, session.id)
            await until(lambda: hanging.blocked == THREADS)
            with anyio.fail_after(PATIENCE):
                created = await other.create_session(command=["cat"])
                await other.stop_session(created.id)
                await other.destroy_session(created.id, cleanup=True)
            assert other.get_all_sessions() == ()
            assert hanging.blocked == THREADS
            tasks.cancel_scope.cancel()
    finally:
        hanging.disk.set()


async def in_a_web_server(story: Story) -> None:
    failures: list[BaseException] = []

    async def application(_: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            await story()
        except BaseException as error:
            failures.append(error)
        await send({"type": "lifespan.startup.complete"})
        server.should_exit = True
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    server = uvicorn.Server(uvicorn.Config(application, port=0, lifespan="on", log_level="error"))
    await server.serve()
    assert not failures, failures


PROGRAMS: dict[str, Callable[[Story], object]] = {
    "asyncio": lambda story: asyncio.run(story()),
    "uvloop": lambda story: uvloop.run(story()),
    "uvicorn": lambda story: asyncio.run(in_a_web_server(story)),
    "trio": lambda story: trio.run(story),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_workspace_whose_disk_hangs_holds_up_no_other_one(
    workspace: Path, new_repository: Callable[[Path], Path], tmp_path: Path, program: str
) -> None:
    sound = new_repository(tmp_path / "sound")
    PROGRAMS[program](partial(story, workspace, sound))
