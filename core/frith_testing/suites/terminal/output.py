"""Output of a process, and its viewers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import anyio
import pytest

from frith.ports import Attachment, AttachMode, Chunk, Gap, Size
from frith_testing.harness.base import PATIENCE
from frith_testing.harness.promises import promise
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.shells import Spawn, data_of, output_of, shown

LINES = 450_000
FLOOD = f"stty -opost; seq {LINES}"
"""Writes 3 MB, more than most providers keep."""
MOST_KEPT = 32 << 20
"""Bytes after which the oldest output must be dropped, because a host has many terminals."""
SLOW, SLOWLY = 0.005, 100
"""Seconds that a slow viewer takes for each chunk, and the number of these chunks."""
QUIET = 0.3
"""Seconds without output after which a flood counts as blocked."""


@cache
def flooded() -> bytes:
    """Return the output of :data:`FLOOD`."""
    return b"".join(b"%d\n" % number for number in range(1, LINES + 1))


class OutputConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about output and viewers."""

    async def test_every_byte_of_output_is_unchanged(self, spawn: Spawn, workspace: Path) -> None:
        data = bytes(range(256)) * 2
        (workspace / "bytes").write_bytes(data)
        assert await output_of(await spawn("stty -opost; cat bytes")) == data

    @pytest.mark.parametrize("size", [1, 3000, 20_000, 65_536])
    async def test_the_last_output_of_many_concurrent_processes_arrives(
        self, spawn: Spawn, workspace: Path, size: int
    ) -> None:
        lengths: list[int] = []

        async def run() -> None:
            terminal = await spawn("stty -opost; exec cat tail")
            lengths.append(len(await output_of(terminal)))

        (workspace / "tail").write_bytes(b"x" * size)
        async with anyio.create_task_group() as tasks:
            for _ in range(25):
                tasks.start_soon(run)
        assert lengths == [size] * 25

    async def test_the_output_of_a_process_is_replayed_after_its_end(self, spawn: Spawn) -> None:
        terminal = await spawn("echo first; echo last")
        with anyio.fail_after(PATIENCE):
            await terminal.exited()
            await terminal.drained()
        for _ in range(2):
            async with terminal.attach() as view:
                assert (view.offset, view.snapshot) == (0, b"first\r\nlast\r\n")
                assert [part async for part in view] == []

    async def test_the_output_is_replayed_from_an_offset(self, spawn: Spawn) -> None:
        terminal = await spawn("echo first; echo last")
        await output_of(terminal)
        async with terminal.attach(from_offset=7) as view:
            assert (view.offset, view.snapshot) == (7, b"last\r\n")

    async def test_the_output_continues_the_screen_at_its_offset(self, spawn: Spawn) -> None:
        terminal = await spawn("stty -echo; printf 'ready '; read -r _; printf more")
        await shown(terminal, b"ready")
        screen = await terminal.screen(Size(rows=2, columns=10))
        if screen is None:
            return
        assert b"ready" in screen.data
        await terminal.write(b"\n")
        await output_of(terminal)
        async with terminal.attach(from_offset=screen.offset) as view:
            assert (view.offset, view.snapshot) == (screen.offset, b"more")

    @promise(since="1.1")
    async def test_the_size_of_a_viewer_that_has_left_does_not_count(self, spawn: Spawn) -> None:
        terminal = await spawn("stty -echo; echo ready; read -r _; stty size")
        await shown(terminal, b"ready")
        await terminal.resize("stays", Size(rows=30, columns=90))
        await terminal.resize("leaves", Size(rows=20, columns=60))
        await terminal.leave("leaves")
        await terminal.write(b"\n")
        assert (await output_of(terminal)).endswith(b"30 90\r\n")

    @promise(since="1.1")
    async def test_ten_viewers_of_a_flood_get_the_same_bytes(self, spawn: Spawn) -> None:
        terminal = await spawn(f"stty -echo; echo ready; read -r _; {FLOOD}")
        await shown(terminal, b"ready")
        seen = [bytearray() for _ in range(10)]
        attached = anyio.Semaphore(0)

        async def follow(number: int) -> None:
            viewing = terminal.attach(mode=AttachMode.LOSSLESS, viewer=f"viewer {number}")
            async with viewing as view:
                attached.release()
                async for part in view:
                    seen[number] += data_of(part)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(follow, number)
                for _ in range(10):
                    await attached.acquire()
                await terminal.write(b"\n")
        assert [each == flooded() for each in seen] == [True] * 10

    async def test_a_viewer_without_a_size_can_leave(self, spawn: Spawn) -> None:
        terminal = await spawn("read -r _")
        await terminal.leave("nobody")
        await terminal.resize("somebody", Size(rows=2, columns=10))
        await terminal.leave("somebody")

    async def test_only_the_newest_output_is_kept(self, spawn: Spawn) -> None:
        terminal = await spawn(f"stty -opost; head -c {MOST_KEPT} /dev/zero; printf newest")
        await output_of(terminal)
        for asked in (None, 0):
            async with terminal.attach(from_offset=asked) as view:
                assert view.offset > 0, f"all {MOST_KEPT} bytes are kept"
                assert view.offset + len(view.snapshot) == MOST_KEPT + len(b"newest")
                assert view.snapshot.endswith(b"\0newest")

    async def test_a_viewer_that_never_reads_does_not_block_others(self, spawn: Spawn) -> None:
        terminal = await spawn(f"read -r _; {FLOOD}; echo end")
        async with terminal.attach(), terminal.attach() as view:
            await terminal.write(b"\n")
            with anyio.fail_after(PATIENCE):
                seen = b""
                while not seen.endswith(b"\nend\n"):
                    part = await anext(aiter(view))
                    seen = seen[-8:] + part.data if isinstance(part, Chunk) else b""

    async def test_a_viewer_that_falls_behind_gets_the_size_of_the_gap(self, spawn: Spawn) -> None:
        terminal = await spawn(f"stty -echo; echo ready; read -r _; {FLOOD}")
        await shown(terminal, b"ready")
        async with terminal.attach() as view:
            at = begin = view.offset + len(view.snapshot)
            await terminal.write(b"\n")
            await output_of(terminal)
            async for part in view:
                assert part.offset == at
                if isinstance(part, Gap):
                    at += part.missed
                else:
                    first = at - begin
                    assert part.data == flooded()[first : first + len(part.data)]
                    at += len(part.data)
        assert at - begin == len(flooded())

    async def test_a_lossless_viewer_gets_every_byte_in_order(self, spawn: Spawn) -> None:
        assert await self._seen_losslessly(spawn, 0) == flooded()

    async def test_a_slow_lossless_viewer_gets_every_byte(self, spawn: Spawn) -> None:
        assert await self._seen_losslessly(spawn, SLOW) == flooded()

    async def test_a_lossless_viewer_that_closes_does_not_block_the_process(
        self, spawn: Spawn
    ) -> None:
        terminal = await spawn(f"stty -echo; echo ready; read -r _; {FLOOD}; echo end")
        await shown(terminal, b"ready")
        async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
            await terminal.write(b"\n")
            with anyio.fail_after(PATIENCE):
                await anext(aiter(view))
        assert (await output_of(terminal)).endswith(b"\nend\n")

    async def test_terminating_does_not_wait_for_viewers(self, spawn: Spawn) -> None:
        terminal = await spawn(f"stty -echo; echo ready; read -r _; {FLOOD}")
        await shown(terminal, b"ready")
        async with terminal.attach(mode=AttachMode.LOSSLESS), terminal.attach() as other:
            await terminal.write(b"\n")
            with anyio.fail_after(PATIENCE):
                await until_it_stops(other)
                await terminal.terminate(0)

    async def _seen_losslessly(self, spawn: Spawn, pause: float) -> bytes:
        terminal = await spawn(f"stty -echo; echo ready; read -r _; {FLOOD}")
        await shown(terminal, b"ready")
        seen, slow = bytearray(), 0
        async with terminal.attach(mode=AttachMode.LOSSLESS) as view, terminal.attach() as other:
            begin = view.offset + len(view.snapshot)
            await terminal.write(b"\n")
            with anyio.fail_after(PATIENCE):
                if pause:  # read only once this viewer blocks the process, or is far behind
                    await until_it_stops(other)
                async for part in view:
                    assert isinstance(part, Chunk), f"a lossless viewer was given {part}"
                    assert part.offset == begin + len(seen)
                    seen += part.data
                    if pause and slow < SLOWLY:
                        slow += 1
                        await anyio.sleep(pause)
        return bytes(seen)


async def until_it_stops(view: Attachment) -> None:
    """Read until no more output comes, because the process has written all or is blocked."""
    parts = aiter(view)
    while True:
        with anyio.move_on_after(QUIET) as quiet:
            if await anext(parts, None) is None:
                return
        if quiet.cancelled_caught:
            return
