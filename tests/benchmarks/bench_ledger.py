"""One change over an ideal store in memory, by how many sessions are stored."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import anyio

from frith import (
    ManagerConfig,
    ProviderSpec,
    Role,
    Session,
    SessionManager,
    SessionStatus,
    hookimpl,
)
from frith.model import Snapshot, now
from frith.ports import Claim, Committed, Holder, SessionStore, Transaction

SIZES = (10, 1_000, 10_000, 100_000)
CHANGES = 300
READ, READERS = 1_000, 3

Row = tuple[str, float, str]


class IdealStore(SessionStore):
    """Keeps a snapshot in memory. It is workspace and recovery too, which do nothing."""

    identity = "ideal"

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    async def load(self) -> Snapshot:
        return self.snapshot

    async def transact(self, fn: Transaction) -> Committed:
        committed = Committed.of(self.snapshot, fn(self.snapshot))
        self.snapshot = committed.snapshot
        return committed

    @asynccontextmanager
    async def claim(self, session_id: str) -> AsyncIterator[Claim]:
        yield Claim(session_id, 1)

    async def holder(self, session_id: str) -> Holder:
        return Holder.FREE

    async def bind_store(self, identity: str, *, write: bool) -> None:
        return

    async def remember(self, *_: object, **__: object) -> None:
        return


def run() -> list[Row]:
    """Return rows of what was measured, the figure, and its unit."""
    times = {size: anyio.run(one_change, size) for size in SIZES}
    least = times[SIZES[0]]
    rows = [
        (f"one change beside {size:,} sessions", seconds / least, f"x ({seconds * 1e3:.2f} ms)")
        for size, seconds in times.items()
    ]
    without, read = anyio.run(one_change, READ), anyio.run(one_change, READ, READERS)
    unit = f"x without readers ({read * 1e3:.2f} ms)"
    return [*rows, (f"one change that {READERS} readers see", read / without, unit)]


async def one_change(size: int, readers: int = 0) -> float:
    """Return the median of the seconds that one durable change takes until all have read it."""
    moment = now()
    sessions = [
        Session(
            id=str(uuid4()),
            name=f"session-{number}",
            status=SessionStatus.IDLE,
            branch=f"feature/session-{number}",
            worktree_path=f"/w/.worktrees/{number}",
            created_at=moment,
            last_activity=moment,
        )
        for number in range(size)
    ]
    store = IdealStore(Snapshot({session.id: session for session in sessions}, revision=1))

    class Plugin:
        @hookimpl
        def frith_providers(self) -> list[ProviderSpec]:
            @asynccontextmanager
            async def factory(_options: Any, _context: Any) -> AsyncIterator[Any]:
                yield store

            roles = (Role.STORE, Role.WORKSPACE, Role.RECOVERY)
            return [ProviderSpec(role, "ideal", factory) for role in roles]

    config = ManagerConfig(
        workspace=Path("/w"),
        store="ideal",
        workspace_provider="ideal",
        recovery="ideal",
        blocked_plugins=frozenset({"json", "git", "pty", "keeper", "log", "status"}),
    )
    async with (
        SessionManager(config, plugins={"ideal": Plugin()}, restore=False) as manager,
        AsyncExitStack() as stack,
    ):
        reading = [await stack.enter_async_context(manager.changes()) for _ in range(readers)]
        for changes in reading:
            await anext(aiter(changes))
        times = []
        for number in range(CHANGES):
            session = sessions[number % size]
            began = time.perf_counter()
            await manager.update_session(session.id, current_phase=f"phase {number}")
            for changes in reading:
                await anext(aiter(changes))
            times.append(time.perf_counter() - began)
    return median(times)
