"""A process that outlives its host is adopted by another host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from frith import ManagerConfig, SessionManager, SessionStatus
from frith.errors import SessionNotRunningError
from frith.model import SessionId
from frith.ports import Holder
from waiting import until

COUNTS = ("sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done")


@pytest.fixture
async def config(workspace: Path) -> AsyncIterator[ManagerConfig]:
    """Sessions on keepers, none of which outlives the test."""
    config = ManagerConfig(workspace=workspace, terminal="keeper", terminate_grace=0.1)
    yield config
    async with SessionManager(config) as manager:
        for session in manager.get_all_sessions():
            await manager.stop_session(session.id)


async def until_run_by(manager: SessionManager, session_id: SessionId) -> None:
    def runs() -> bool:
        try:
            return manager.terminal(session_id) is not None
        except SessionNotRunningError:
            return False

    await until(runs)


async def test_a_second_host_can_view_a_session_that_the_first_runs(config: ManagerConfig) -> None:
    async with SessionManager(config) as first:
        session = await first.create_session(command=COUNTS)
        async with SessionManager(config) as second:
            assert await second.holder(session.id) is Holder.HELD
            terminal = await second.open_terminal(session.id)
            assert terminal.pid == session.pty_pid
            async with terminal.attach() as view:
                assert await anext(view.__aiter__())


async def test_another_open_host_adopts_the_session_when_its_host_closes(
    config: ManagerConfig,
) -> None:
    async with SessionManager(config) as second:
        async with SessionManager(config) as first:
            session = await first.create_session(command=COUNTS)
        await until_run_by(second, session.id)
        found = second.get_session(session.id)
        assert found is not None
        assert (found.status, found.pty_pid) == (SessionStatus.ACTIVE, session.pty_pid)


async def test_a_host_that_opens_later_adopts_the_process(config: ManagerConfig) -> None:
    async with SessionManager(config) as manager:
        session = await manager.create_session(command=COUNTS)
    async with SessionManager(config) as manager:
        found = manager.get_session(session.id)
        assert found is not None
        assert (found.status, found.pty_pid) == (SessionStatus.ACTIVE, session.pty_pid)
        async with manager.terminal(session.id).attach() as view:
            lines = view.snapshot.splitlines()
        assert lines[:2] == [b"line 1", b"line 2"]


async def test_an_exit_without_a_host_is_recorded_at_the_next_start(
    config: ManagerConfig, tmp_path: Path
) -> None:
    ends = tmp_path / "ends"
    script = f"while [ ! -e {ends} ]; do sleep 0.01; done; exit 7"
    async with SessionManager(config) as manager:
        session = await manager.create_session(command=("sh", "-c", script))
    ends.touch()
    async with SessionManager(config) as manager:
        ended = await manager.wait_ended(session.id)
    assert ended.status is SessionStatus.ERROR
    assert ended.details.exit is not None
    assert ended.details.exit.code == 7
