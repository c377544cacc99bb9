"""Each manager of a process has the log that its own options ask for."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
import uvloop
from structlog.testing import capture_logs

from frith import ManagerConfig, SessionManager, hookimpl
from frith.errors import ConfigurationError
from frith.events import SessionCreated
from frith_testing.harness.resources import resources_now

pytestmark = [pytest.mark.requirement("R8.2"), pytest.mark.usefixtures("clean_git")]

PROGRAMS: dict[str, Callable[[Callable[[], Coroutine[Any, Any, None]]], object]] = {
    "asyncio": lambda story: asyncio.run(story()),
    "uvloop": lambda story: uvloop.run(story()),
    "trio": lambda story: trio.run(story),
}
"""Event loops, started without anyio."""


class Fails:
    """A plugin whose failure the core logs."""

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        raise RuntimeError(f"{event.session.name} is not wanted")


def config(workspace: Path, **options: object) -> ManagerConfig:
    given = {"plugin": {"log": {"configure": True, "file": ".git/log", **options}}}
    return ManagerConfig(workspace=workspace, options=given)


def lines(workspace: Path) -> list[dict[str, Any]]:
    return list(map(json.loads, (workspace / ".git" / "log").read_text().splitlines()))


@asynccontextmanager
async def opened(*configs: ManagerConfig) -> AsyncIterator[list[SessionManager]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(SessionManager(config, plugins={"fails": Fails()}))
            for config in configs
        ]


@pytest.fixture
def one(tmp_path: Path, new_repository: Callable[[Path], Path]) -> Path:
    return new_repository(tmp_path / "one")


@pytest.fixture
def other(tmp_path: Path, new_repository: Callable[[Path], Path]) -> Path:
    return new_repository(tmp_path / "other")


async def create_in_turn(one: ManagerConfig, other: ManagerConfig) -> None:
    async with opened(one, other) as (first, second):
        await first.create_session("ann", start=False)
        await second.create_session("bob", start=False)
        await first.create_session("cid", start=False)


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_line_is_in_the_file_of_its_manager_if_its_level_is(
    one: Path, other: Path, caplog: pytest.LogCaptureFixture, program: str
) -> None:
    story = partial(create_in_turn, config(one, level="debug"), config(other, level="error"))
    PROGRAMS[program](story)
    found = [(line["event"], line.get("name") or line.get("reason")) for line in lines(one)]
    assert [each for each in found if each[0] in ("session_created", "hook_failed")] == [
        ("session_created", "ann"),
        ("hook_failed", "raised RuntimeError('ann is not wanted')"),
        ("session_created", "cid"),
        ("hook_failed", "raised RuntimeError('cid is not wanted')"),
    ]
    (line,) = lines(other)
    assert (line["level"], line["reason"]) == ("error", "raised RuntimeError('bob is not wanted')")
    assert not caplog.messages


async def test_a_manager_without_the_option_logs_as_its_host_does(
    one: Path, other: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="frith")
    await create_in_turn(config(one), ManagerConfig(workspace=other))
    told = [json.loads(message) for message in caplog.messages]
    assert {line["name"] for line in told if line["event"] == "session_created"} == {"bob"}
    assert {line["name"] for line in lines(one) if line["event"] == "session_created"} == {
        *("ann", "cid")
    }


async def test_a_manager_that_blocks_the_plugin_has_nothing_of_it(
    one: Path, other: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="frith")
    blocking = config(other).model_copy(update={"blocked_plugins": frozenset({"log"})})
    await create_in_turn(config(one), blocking)
    assert [json.loads(message)["event"] for message in caplog.messages] == ["hook_failed"]
    assert not (other / ".git" / "log").exists()


async def test_what_a_thread_of_the_store_logs_is_in_the_same_file(
    one: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(config(one)) as (manager,):
        await manager.create_session("ann", start=False)
    state = one / ".claude-container-sessions.json"
    state.write_text(state.read_text().replace('"ann"', '"bob"'))
    async with opened(config(one)):
        pass
    assert "state_file_mismatch" in [line["event"] for line in lines(one)]
    assert not caplog.messages


async def test_a_host_with_structlog_refuses_that_manager_only(one: Path, other: Path) -> None:
    with capture_logs() as captured:
        structlog.configure(processors=structlog.get_config()["processors"])
        async with opened(ManagerConfig(workspace=other)) as (manager,):
            with pytest.raises(ConfigurationError, match="the host has configured structlog"):
                async with opened(config(one)):
                    pass
            await manager.create_session("bob", start=False)
    assert "session_created" in [line["event"] for line in captured]


async def test_many_managers_leave_no_file_and_no_handler_open(one: Path) -> None:
    used: list[tuple[int, int]] = []
    for _ in range(4):
        async with opened(config(one)):
            pass
        gc.collect()
        used.append((resources_now()["descriptors"], len(vars(logging)["_handlerList"])))
    assert used[-1] <= used[1]
