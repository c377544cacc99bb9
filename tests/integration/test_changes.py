"""Readers of changes beside six processes that make them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import pytest

from frith import AllSessions, ChangeReader, ManagerConfig, Session, SessionChange, SessionManager
from frith.model import SessionId
from waiting import until

SCRIPT = Path(__file__).with_name("changing.py")
PROCESSES = 6
SLOWER = 20
"""Items that the fast reader reads while the slow one reads one."""


@dataclass
class Seen:
    """What a reader knows of the sessions."""

    changes: ChangeReader
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    revision: int = 0
    items: int = 0

    async def follow(self) -> None:
        async for item in self.changes:
            self.take(item)

    async def follow_slowly(self, fast: Seen, ended: anyio.Event) -> None:
        async for item in self.changes:
            self.take(item)
            enough = fast.items + SLOWER
            await until(partial(fast.has_read, enough, ended))

    def has_read(self, items: int, ended: anyio.Event) -> bool:
        return self.items >= items or ended.is_set()

    def take(self, item: AllSessions | SessionChange) -> None:
        assert item.cursor.revision >= self.revision
        self.revision = item.cursor.revision
        self.items += 1
        if isinstance(item, AllSessions):
            self.sessions = {session.id: session for session in item.sessions}
            return
        assert self.sessions.get(item.session.id) == item.before
        if item.after is None:
            del self.sessions[item.session.id]
        else:
            self.sessions[item.session.id] = item.after


@pytest.mark.requirement("R10.2")
@pytest.mark.expensive("starts six processes")
@pytest.mark.parametrize("count", [120, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_every_reader_reaches_the_stored_state(count: int, workspace: Path) -> None:
    config = ManagerConfig(workspace=workspace, max_sessions=1000)
    async with (
        SessionManager(config, restore=False) as manager,
        manager.changes() as fast,
        manager.changes() as slow,
        manager.changes() as asleep,
    ):
        readers = [Seen(fast), Seen(slow), Seen(asleep)]
        ended = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readers[0].follow)
            tasks.start_soon(readers[1].follow_slowly, readers[0], ended)
            await all_processes(workspace, count)
            ended.set()
            stored = await in_store(config)
            await until(lambda: readers[0].sessions == stored)
            await until(lambda: readers[1].sessions == stored)
            tasks.cancel_scope.cancel()
        while asleep.has_next:
            readers[2].take(await anext(aiter(asleep)))
        assert readers[2].sessions == stored
        # All sessions, then at most one change for each session that was or is there.
        assert readers[2].items <= 1 + len(stored)
        assert readers[0].items > readers[1].items > readers[2].items


async def all_processes(workspace: Path, count: int) -> None:
    """Let six processes make ``count`` changes together."""

    async def one(number: int) -> None:
        command = [sys.executable, str(SCRIPT), str(workspace), str(count // PROCESSES)]
        await anyio.run_process([*command, str(number)], stderr=subprocess.STDOUT)

    async with anyio.create_task_group() as tasks:
        for number in range(PROCESSES):
            tasks.start_soon(one, number)


async def in_store(config: ManagerConfig) -> Mapping[SessionId, Session]:
    """Return the sessions as another process finds them stored."""
    async with SessionManager(config, restore=False) as manager:
        return {session.id: session for session in manager.get_all_sessions()}
