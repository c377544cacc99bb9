"""Real processes in real terminals, watched by the provider as a manager opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from anyio import fail_after

import frith_pty
import frith_status
from frith.model import Session, SessionStatus, now
from frith.ports import Conclusion, SpawnRequest, StatusDetector, StatusWatch, Stuck, Terminal
from frith_testing.harness.opening import Context
from waiting import PATIENCE


class Watched:
    """A process and the conclusions about it."""

    def __init__(
        self, detector: StatusDetector, terminal: Terminal, watch: StatusWatch, findings: Any
    ) -> None:
        self.detector = detector
        self.terminal = terminal
        self.watch = watch
        self.findings: AsyncIterator[Conclusion | Stuck] = findings

    async def next(self) -> Conclusion | Stuck:
        with fail_after(PATIENCE):
            return await anext(self.findings)

    @asynccontextmanager
    async def again(self) -> AsyncIterator[Watched]:
        """Watch the process again, as the next host that adopts it does."""
        session = a_session(self.terminal.session_id)
        async with self.detector.watch(session, self.terminal) as watch:
            findings: Any = aiter(watch)  # a generator, which its type does not say
            async with aclosing(findings):
                yield Watched(self.detector, self.terminal, watch, findings)

    async def until(self, status: str) -> Conclusion:
        while True:
            finding = await self.next()
            if isinstance(finding, Conclusion) and finding.status is SessionStatus(status):
                return finding


Watching = Callable[..., AbstractAsyncContextManager[Watched]]


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    """Start a command and watch it. Options are those of the provider."""

    @asynccontextmanager
    async def start(
        *command: str, env: dict[str, str] | None = None, cwd: Path = tmp_path, **options: Any
    ) -> AsyncIterator[Watched]:
        (pty,) = frith_pty.frith_providers()
        (status,) = frith_status.frith_providers()
        context = Context(tmp_path)
        session_id = str(uuid4())
        request = SpawnRequest(session_id, command, str(cwd), str(tmp_path), env or {})
        async with (
            pty.factory(pty.config(), context) as spawner,
            status.factory(status.config(**options), context) as detector,
        ):
            terminal = await spawner.spawn(request)
            async with (
                detector.watch(a_session(session_id), terminal) as watch,
                aclosing(aiter(watch)) as findings,
            ):
                yield Watched(detector, terminal, watch, findings)

    return start


def a_session(session_id: str) -> Session:
    return Session(
        id=session_id,
        name="one",
        status=SessionStatus.ACTIVE,
        branch="feature/one",
        worktree_path="/workspace",
        created_at=now(),
        last_activity=now(),
    )
