"""Views of real processes: on both terminals, by several hosts, across resume and kills."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith import Ended, ManagerConfig, Output, Redraw, Session, SessionManager, Size, View
from frith.model import ExitStatus
from waiting import PATIENCE

from .conftest import Host
from .test_succession import until_run_by

SIZE, OTHER = Size(30, 90), Size(10, 40)
TELLS = ("sh", "-c", "stty -echo; echo ready; while read -r line; do stty size; done")
"""Tells the size of its window for each line."""


@pytest.fixture(params=["pty", "keeper"])
def terminal(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(workspace: Path, terminal: str, left: object) -> ManagerConfig:
    return ManagerConfig.of(
        workspace=workspace,
        terminal=terminal,
        terminate_grace=PATIENCE,
        options={"terminal": {terminal: {"scrollback": 64 * 1024}}},
    )


@pytest.fixture
async def manager(config: ManagerConfig) -> AsyncIterator[SessionManager]:
    """A manager that leaves no process running."""
    async with SessionManager(config) as manager:
        yield manager
        for session in manager.get_all_sessions():
            await manager.stop_session(session.id)


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    return await manager.create_session("one", command=TELLS, size=SIZE)


async def until(view: View, text: bytes) -> list[Any]:
    """Return the items up to the one after which ``text`` is shown."""
    items: list[Any] = []
    shown = b""
    with anyio.fail_after(PATIENCE):
        while text not in shown:
            item = await anext(view)
            items.append(item)
            assert not isinstance(item, Ended), items
            shown = item.data if isinstance(item, Redraw) else shown + item.data
    return items


async def until_ended(view: View) -> ExitStatus | None:
    with anyio.fail_after(PATIENCE):
        async for item in view:
            if isinstance(item, Ended):
                return item.exit
    raise AssertionError("the session was destroyed")


async def test_a_late_viewer_sees_the_screen_and_gives_its_size_while_it_stays(
    manager: SessionManager, session: Session
) -> None:
    async with manager.view(session.id, "first", SIZE) as first:
        await until(first, b"ready")
        async with manager.view(session.id, "second", OTHER) as second:
            (redraw,) = await until(second, b"ready")
            assert isinstance(redraw, Redraw)
            await second.write(b"\n")
            await until(second, b"10 40")
            assert all(isinstance(item, Redraw) for item in await until(first, b"10 40"))
        await first.write(b"\n")
        await until(first, b"30 90")


async def test_a_viewer_that_was_too_slow_gets_a_fresh_screen(manager: SessionManager) -> None:
    script = "stty -echo; echo ready; read -r line; seq 30000; printf done; read -r line"
    session = await manager.create_session(command=("sh", "-c", script), size=SIZE)
    async with manager.view(session.id) as slow, manager.view(session.id) as quick:
        await until(slow, b"ready")
        await until(quick, b"ready")
        await quick.write(b"\n")
        await until(quick, b"done")
        items = await until(slow, b"done")
        assert isinstance(items[-1], Redraw)
        assert b"30000" in items[-1].data


async def test_text_is_decoded_however_it_is_cut(manager: SessionManager) -> None:
    script = r"stty -echo -opost; printf 'ready \303'; read -r line; printf '\244\342\202'; "
    script += r"read -r line; printf '\254 end'; read -r line"
    session = await manager.create_session(command=("sh", "-c", script))
    async with manager.view(session.id, scrollback=True) as view:
        shown = ""
        with anyio.fail_after(PATIENCE):
            async for item in view.text():
                assert not isinstance(item, Ended)
                shown += item.data
                if shown in ("ready ", "ready ä"):
                    await view.write(b"\n")
                if shown.endswith("end"):
                    break
    assert shown == "ready ä€ end"


async def test_a_view_goes_on_after_a_resume_until_the_session_is_destroyed(
    manager: SessionManager, session: Session
) -> None:
    async with manager.view(session.id, "me", OTHER) as view:
        await until(view, b"ready")
        await manager.stop_session(session.id)
        assert await until_ended(view) == ExitStatus(signal=15)
        await manager.resume_session(session.id, size=SIZE)
        await until(view, b"ready")
        await view.write(b"\n")
        await until(view, b"10 40")
        await manager.destroy_session(session.id, cleanup=True)
        assert await until_ended(view) is not None
        with anyio.fail_after(PATIENCE):
            assert [item async for item in view] == []


async def test_cancelled_viewers_leave_nothing_behind(
    manager: SessionManager, session: Session
) -> None:
    async def watch(name: str) -> None:
        async with manager.view(session.id, name, OTHER) as view:
            await until(view, b"ready")
            attached.release()
            async for _ in view:
                pass

    attached = anyio.Semaphore(0)
    async with manager.view(session.id, "stays", SIZE) as view:
        await until(view, b"ready")
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(watch, str(number))
            for _ in range(5):
                await attached.acquire()
            tasks.cancel_scope.cancel()
        await view.write(b"\n")
        await until(view, b"30 90")


@pytest.mark.parametrize("terminal", ["keeper"])
async def test_another_host_views_a_process_and_follows_its_resume(
    config: ManagerConfig, manager: SessionManager, session: Session
) -> None:
    async with (
        SessionManager(config, restore=False) as other,
        other.view(session.id, "other", OTHER) as view,
    ):
        await until(view, b"ready")
        await view.write(b"\n")
        await until(view, b"10 40")
        await manager.stop_session(session.id)
        assert await until_ended(view) == ExitStatus(signal=15)
        await manager.resume_session(session.id, size=SIZE)
        await until(view, b"ready")


@pytest.mark.parametrize("terminal", ["keeper"])
async def test_a_view_outlives_the_host_of_the_process(
    config: ManagerConfig, start_host: Callable[..., Host]
) -> None:
    host = start_host(terminal="keeper")
    created = host.call("create_session", "one", command=list(TELLS))
    async with SessionManager(config) as manager:
        async with manager.view(created["id"], "me", OTHER) as view:
            await until(view, b"ready")
            host.kill()
            await view.write(b"\n")
            await until(view, b"10 40")
        await until_run_by(manager, created["id"])
        await manager.stop_session(created["id"])


@pytest.mark.parametrize("terminal", ["pty"])
async def test_a_process_that_ended_with_its_killed_host_is_waited_for(
    config: ManagerConfig, manager: SessionManager, start_host: Callable[..., Host]
) -> None:
    host = start_host(terminal="pty")
    created = host.call("create_session", "one", command=list(TELLS))
    session = await manager.create_session("two", command=TELLS)
    async with manager.view(session.id) as view:
        await until(view, b"ready")
        host.kill()
        await manager.wait_ended(created["id"])
        await manager.resume_session(created["id"])
        async with manager.view(created["id"]) as resumed:
            assert isinstance(await anext(resumed), Redraw | Output)
