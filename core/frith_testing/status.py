"""The suite for status providers: see :class:`frith.ports.StatusDetector`."""

from __future__ import annotations

import anyio

from frith.model import SessionStatus
from frith.ports import AttachMode, Conclusion, StatusDetector, Stuck
from frith_testing.harness.base import PATIENCE
from frith_testing.suites.status.open_detector import ASKED, concluded, watched
from frith_testing.suites.status.robustness import RobustnessConformance
from frith_testing.suites.terminal.shells import Spawn, output_of, shown

ALLOWED = frozenset(SessionStatus) - {SessionStatus.STOPPED}


class StatusConformance(RobustnessConformance, suite="status"):
    """Tests of a status provider. Define the fixture ``provider``.

    The processes are POSIX shells in the default terminal of a manager.
    """

    async def test_a_reported_status_is_concluded_with_its_message(
        self, detector: StatusDetector, spawn: Spawn
    ) -> None:
        terminal = await spawn("read -r _")
        async with watched(detector, terminal) as (watch, findings):
            watch.tell(ASKED)
            assert await concluded(findings, ASKED.status) == ASKED

    async def test_a_report_about_one_process_does_not_affect_another(
        self, detector: StatusDetector, spawn: Spawn
    ) -> None:
        one, other = await spawn("read -r _"), await spawn("read -r _")
        async with (
            watched(detector, one) as (watch, findings),
            watched(detector, other) as (_, others),
        ):
            watch.tell(ASKED)
            await concluded(findings, ASKED.status)
            await other.write(b"\n")
            with anyio.fail_after(PATIENCE):
                assert ASKED not in [finding async for finding in others]

    async def test_the_watch_ends_with_its_process(
        self, detector: StatusDetector, spawn: Spawn
    ) -> None:
        terminal = await spawn("echo first; read -r _; echo last")
        async with watched(detector, terminal) as (_, findings):
            await shown(terminal, b"first")
            await terminal.write(b"\n")
            with anyio.fail_after(PATIENCE):
                found = [finding async for finding in findings]
        conclusions = [finding for finding in found if isinstance(finding, Conclusion)]
        assert {conclusion.status for conclusion in conclusions} <= ALLOWED
        assert all(0 <= conclusion.confidence <= 1 for conclusion in conclusions)

    async def test_the_watch_of_an_ended_process_ends_at_once(
        self, detector: StatusDetector, spawn: Spawn
    ) -> None:
        terminal = await spawn("exit 3")
        await output_of(terminal)
        async with watched(detector, terminal) as (_, findings):
            with anyio.fail_after(PATIENCE):
                assert [finding async for finding in findings if isinstance(finding, Stuck)] == []

    async def test_an_unread_watch_does_not_block_viewers(
        self, detector: StatusDetector, spawn: Spawn
    ) -> None:
        script = "read -r _; i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"
        terminal = await spawn(script)
        async with watched(detector, terminal), terminal.attach(mode=AttachMode.LOSSLESS) as view:
            await terminal.write(b"\n")
            seen = bytearray(view.snapshot)
            with anyio.fail_after(PATIENCE):
                async for part in view:
                    seen += getattr(part, "data", b"")
        assert seen.endswith(b"line 19999\r\n")

    async def test_a_cancelled_watch_does_not_affect_the_process(
        self, detector: StatusDetector, spawn: Spawn
    ) -> None:
        terminal = await spawn("read -r line; echo got $line")
        with anyio.CancelScope() as scope:
            async with watched(detector, terminal) as (_, findings):
                scope.cancel()
                await anext(findings)
        await terminal.write(b"input\n")
        assert (await output_of(terminal)).endswith(b"got input\r\n")
