"""The base class of the promises of status providers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from frith.config import ManagerConfig
from frith.model import SessionStatus, Source
from frith.ports import Conclusion, StatusDetector, StatusWatch, Stuck, Terminal
from frith.providers import Role
from frith_testing.harness.base import PATIENCE, Opening, ProviderConformance
from frith_testing.harness.opening import Context
from frith_testing.harness.samples import a_session
from frith_testing.suites.terminal.shells import Spawn, spawning

ASKED = Conclusion(SessionStatus.WAITING, Source.TOLD, message="May I?")


class OpenStatusConformance(ProviderConformance, suite="status"):
    """Opens the provider, and a terminal to watch."""

    role = Role.STATUS

    @pytest.fixture
    async def spawn(self, workspace: Path) -> AsyncIterator[Spawn]:
        """Return a function that starts a shell script, which is terminated after the test."""
        terminal = ManagerConfig(workspace=workspace).terminal
        async with (
            Context(workspace).open(Role.TERMINAL, terminal) as spawner,
            spawning(spawner, workspace) as spawn,
        ):
            yield spawn

    @pytest.fixture
    async def detector(self, opening: Opening) -> AsyncIterator[StatusDetector]:
        """Return the status provider, opened."""
        async with opening.open() as detector:
            yield detector

    @pytest.fixture
    def operate(self, spawn: Spawn) -> Callable[[StatusDetector], Awaitable[None]]:
        """Return a function that watches a terminal with an opened provider."""

        async def operate(detector: StatusDetector) -> None:
            async with watched(detector, await spawn("read -r _")) as (watch, findings):
                watch.tell(ASKED)
                await concluded(findings, ASKED.status)

        return operate


@asynccontextmanager
async def watched(
    detector: StatusDetector, terminal: Terminal
) -> AsyncIterator[tuple[StatusWatch, AsyncIterator[Conclusion | Stuck]]]:
    """Watch ``terminal``; give the watch, and its findings."""
    session = a_session(id=terminal.session_id, status=SessionStatus.ACTIVE, pty_pid=terminal.pid)
    async with (
        detector.watch(session, terminal) as watch,
        aclosing(cast("Any", aiter(watch))) as findings,
    ):
        yield watch, findings


async def concluded(
    findings: AsyncIterator[Conclusion | Stuck], status: SessionStatus
) -> Conclusion:
    """Return the next conclusion of ``status``."""
    with anyio.fail_after(PATIENCE):
        async for finding in findings:
            if isinstance(finding, Conclusion) and finding.status is status:
                return finding
    pytest.fail(f"the watch ended without concluding {status}")
