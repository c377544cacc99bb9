"""Input of a process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from frith.errors import LineTooLongError, TerminalClosedError
from frith.ports import Size
from frith_testing.harness.base import PATIENCE
from frith_testing.harness.watchdog import unblocked_by
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.shells import Spawn, output_of, shown

KEEP = "stty -echo; echo ready; cat >kept"
"""Writes its input to a file, until ^D ends it."""
MANY = 100_000
"""Bytes, far more than a terminal buffers: to write them waits until the process reads."""
TICKS = 20


class InputConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about input."""

    async def test_input_reaches_the_process_completely_and_in_order(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        terminal = await spawn(KEEP)
        await shown(terminal, b"ready")
        lines = [b"%d\n" % number * 20 for number in range(50)]
        for line in lines:
            await terminal.write(line)
        await terminal.write(b"\x04")
        await output_of(terminal)
        assert (workspace / "kept").read_bytes() == b"".join(lines)

    async def test_concurrent_writes_are_not_interleaved(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        terminal = await spawn(f"stty raw; {KEEP}")
        await shown(terminal, b"ready")
        async with anyio.create_task_group() as tasks:
            for letter in b"abcd":
                tasks.start_soon(terminal.write, bytes([letter]) * MANY)
        await self._kept(workspace, 4 * MANY)
        kept = (workspace / "kept").read_bytes()
        assert sorted(kept[start : start + MANY] for start in range(0, 4 * MANY, MANY)) == [
            bytes([letter]) * MANY for letter in b"abcd"
        ]

    async def test_a_process_that_does_not_read_does_not_block_the_event_loop(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        go_on = workspace / "go-on"
        wait = f"while ! [ -e {go_on} ]; do sleep 0.01; done"
        terminal = await spawn(f"stty raw -echo; echo ready; {wait}; cat >kept")
        await shown(terminal, b"ready")

        async def tick() -> None:
            for _ in range(TICKS):
                await anyio.sleep(0.001)
            go_on.touch()

        with unblocked_by(go_on.touch) as given_up:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(terminal.write, b"x" * MANY)
                tasks.start_soon(tick)
        assert not given_up.is_set(), "the event loop was blocked until the process read"
        await self._kept(workspace, MANY)

    async def test_a_line_that_the_terminal_would_truncate_is_refused(self, spawn: Spawn) -> None:
        terminal = await spawn("read -r _")
        with pytest.raises(LineTooLongError):
            await terminal.write(b"x" * 100_000 + b"\n")

    async def test_operations_on_a_process_are_refused_after_its_end(self, spawn: Spawn) -> None:
        terminal = await spawn("exit 0")
        await output_of(terminal)
        with pytest.raises(TerminalClosedError):
            await terminal.write(b"x")
        with pytest.raises(TerminalClosedError):
            await terminal.signal(signal.SIGINT)
        with pytest.raises(TerminalClosedError):
            await terminal.resize("viewer", Size())

    async def _kept(self, workspace: Path, size: int) -> None:
        """Wait until the process has written ``size`` bytes to its file."""
        kept = workspace / "kept"
        with anyio.fail_after(PATIENCE):
            while not kept.exists() or os.path.getsize(kept) < size:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert kept.stat().st_size == size
