"""Watches of odd output, with gaps, and several at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio

from frith.model import SessionStatus, Source
from frith.ports import Conclusion, StatusDetector
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.promises import promise
from frith_testing.harness.resources import require_nothing_left
from frith_testing.suites.status.gap_terminal import Interrupted
from frith_testing.suites.status.open_detector import (
    ASKED,
    OpenStatusConformance,
    concluded,
    watched,
)
from frith_testing.suites.terminal.shells import Spawn, shown

ODD_OUTPUT = bytes(range(256)) + b"\xf0\x9f\x1b[31" + b"x" * 100_000 + b"\x1b]2;" + b"\xc3\x28\n"
"""Every byte, half a character, half an escape sequence, a very long line."""


class RobustnessConformance(OpenStatusConformance, suite="status"):
    """Promises about odd output, gaps and several watches."""

    @promise(since="1.1")
    async def test_a_later_report_is_concluded(
        self, detector: StatusDetector, spawn: Spawn
    ) -> None:
        terminal = await spawn("read -r _")
        async with watched(detector, terminal) as (watch, findings):
            for told in (
                ASKED,
                Conclusion(SessionStatus.ACTIVE, Source.TOLD),
                replace(ASKED, message="And now?"),
                ASKED,
            ):
                watch.tell(told)
                assert await concluded(findings, told.status) == told

    @promise(since="1.1")
    async def test_output_of_any_kind_does_not_end_the_watch(
        self, detector: StatusDetector, spawn: Spawn, workspace: Path
    ) -> None:
        (workspace / "odd").write_bytes(ODD_OUTPUT)
        terminal = await spawn("stty -opost; cat odd; echo end; read -r _")
        async with watched(detector, terminal) as (watch, findings):
            await shown(terminal, b"end")
            watch.tell(ASKED)
            while await concluded(findings, ASKED.status) != ASKED:
                pass  # the output may itself look like a question

    @promise(since="1.1")
    async def test_a_gap_in_the_output_does_not_end_the_watch(
        self, detector: StatusDetector, spawn: Spawn
    ) -> None:
        terminal = await spawn("echo first; read -r _")
        await shown(terminal, b"first")
        async with watched(detector, Interrupted(terminal)) as (watch, findings):
            watch.tell(ASKED)
            assert await concluded(findings, ASKED.status) == ASKED
            await terminal.write(b"\n")
            with anyio.fail_after(PATIENCE):
                async for _ in findings:  # until the end, after the gap
                    pass

    @promise(since="1.1")
    async def test_a_process_can_be_watched_twice(
        self, detector: StatusDetector, spawn: Spawn
    ) -> None:
        terminal = await spawn("read -r _")
        async with (
            watched(detector, terminal) as (one, findings),
            watched(detector, terminal) as (other, others),
        ):
            for watch, its_own in ((one, findings), (other, others)):
                watch.tell(ASKED)
                assert await concluded(its_own, ASKED.status) == ASKED

    @promise(since="1.1")
    async def test_an_ended_watch_leaves_no_descriptor_and_no_thread(
        self, spawn: Spawn, opening: Opening
    ) -> None:
        terminal = await spawn("read -r _")

        async def use(detector: StatusDetector) -> None:
            async with watched(detector, terminal) as (watch, findings):
                watch.tell(ASKED)
                await concluded(findings, ASKED.status)

        await require_nothing_left(opening, use)
