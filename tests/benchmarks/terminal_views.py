"""Viewers beside each other: how alike they are served, and what they cost everything else."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
import anyio.lowlevel
from terminal_programs import BLOCKS, COUNT, ECHO, Pair, bare_flood, flood, python

from frith import Ended, View
from frith._flows.view import OpenView
from frith.ports import AttachMode, Gap, Size, SpawnRequest, Terminal, TerminalSpawner
from frith_pty.spawner import open_spawner
from frith_terminals.options import TerminalOptions

Row = tuple[str, float, str]

VIEWERS = 10
SECONDS = 5.0
LARGE = Size(500, 1000)


async def rows(runs: int) -> list[Row]:
    async with open_spawner(TerminalOptions(), "/") as spawner:
        return [
            *await throughput(spawner, runs),
            *await beside_a_flood(spawner),
            *await screens(spawner),
        ]


async def spawn(spawner: TerminalSpawner, *command: str, size: Size = Size()) -> Terminal:
    return await spawner.spawn(SpawnRequest(str(uuid4()), command, "/", "/", size=size))


@asynccontextmanager
async def viewed(terminal: Terminal, mode: AttachMode = AttachMode.LOSSY) -> AsyncIterator[View]:
    view = OpenView(terminal, reopen=never, mode=mode)
    yield view
    await view.leave()


async def never(_last: Terminal, _has_ended: bool) -> Terminal | None:
    await anyio.sleep_forever()
    return None


async def viewed_flood(spawner: TerminalSpawner, mode: str) -> Pair:
    """Like ``bench_terminals.our_flood``, with views."""
    terminal = await spawn(spawner, *flood(mode))
    ready, sizes = anyio.Semaphore(0), []

    async def watch() -> None:
        async with viewed(terminal, AttachMode.LOSSLESS) as view:
            seen = b""
            while b"ready" not in seen:
                item = await anext(view)
                assert not isinstance(item, Ended)
                seen += item.data
            ready.release()
            size = 0
            async for item in view:
                if isinstance(item, Ended):
                    break
                size += len(item.data)
            sizes.append(size)

    async with anyio.create_task_group() as tasks:
        for _ in range(VIEWERS):
            tasks.start_soon(watch)
        for _ in range(VIEWERS):
            await ready.acquire()
        started, cpu = time.perf_counter(), time.process_time()
        await terminal.write(b"\n")
    took = time.perf_counter() - started, time.process_time() - cpu
    assert min(sizes) >= BLOCKS * 819 * 80
    return took


async def throughput(spawner: TerminalSpawner, runs: int) -> list[Row]:
    found: list[Row] = []
    for mode, bar in (("cooked", "≥ 0.90"), ("raw", "≥ 0.85")):
        pairs = [(bare_flood(mode), await viewed_flood(spawner, mode)) for _ in range(runs)]
        speed = statistics.median(bare[0] / ours[0] for bare, ours in pairs)
        cpu = statistics.median(ours[1] / bare[1] for bare, ours in pairs)
        found += [
            (f"throughput, {mode}, {VIEWERS} views", speed, f"x read ({bar})"),
            (f"host CPU, {mode}, {VIEWERS} views", cpu, "x read"),
        ]
    return found


async def beside_a_flood(spawner: TerminalSpawner) -> list[Row]:
    """Ten views of an endless flood, and an echo in another terminal."""
    seen, echoes = [0] * VIEWERS, []
    flooding, quiet = await spawn(spawner, *python(COUNT)), await spawn(spawner, *ECHO)

    async def watch(number: int) -> None:
        async with viewed(flooding) as view:
            async for item in view:
                assert not isinstance(item, Ended)
                seen[number] += len(item.data)

    async with anyio.create_task_group() as tasks:
        for number in range(VIEWERS):
            tasks.start_soon(watch, number)
        await anyio.sleep(1)
        before, until = tuple(seen), time.perf_counter() + SECONDS
        async with quiet.attach() as attached:
            pieces = aiter(attached)
            while time.perf_counter() < until:
                started = time.perf_counter()
                await quiet.write(b"x")
                await anext(pieces)
                echoes.append((time.perf_counter() - started) * 1e3)
                await anyio.sleep(0.005)
        each = [after - first for after, first in zip(seen, before, strict=True)]
        tasks.cancel_scope.cancel()
    p99 = statistics.quantiles(echoes, n=100)[-1]
    fairness = min(each) / statistics.mean(each)
    return [
        (f"{VIEWERS} views of a flood: the least fast", fairness, "x the mean (≥ 0.7)"),
        (f"{VIEWERS} views of a flood: echo beside it, p99", p99, "ms (≤ 50)"),
    ]


def colours() -> str:
    """A screen of which every cell has colours and a wide character of its own."""
    chance = random.Random(1)
    cell = "\x1b[38;2;{};{};{}m{}\u0301"
    return "".join(
        cell.format(*(chance.randrange(256) for _ in range(3)), chr(0x4E00 + n % 20_000))
        for n in range(LARGE.rows * LARGE.columns // 2)
    )


WORST: dict[str, tuple[str, Size]] = {
    "colours": (colours(), LARGE),
    "colours, 24 x 80": (colours(), Size()),
    "erasing": ("\x1b[2J" * 50_000, LARGE),
    "inserting": ("\x1b[4h" + "漢" * 100_000, LARGE),
    "repeating": ("x\x1b[65000b" * 30_000, LARGE),
    "switching": ("\x1b[?1049h\x1b[?1049l" * 10_000, LARGE),
}


async def screens(spawner: TerminalSpawner) -> list[Row]:
    """The longest time within which nothing else runs while a screen is asked for."""
    found: list[Row] = []
    for what, (output, size) in WORST.items():
        terminal = await spawn(spawner, *ECHO, size=size)
        data = output.encode()
        async with terminal.attach() as attached, anyio.create_task_group() as tasks:
            pieces = aiter(attached)
            if b"ready" not in attached.snapshot:
                await anext(pieces)
            tasks.start_soon(terminal.write, data)
            left = len(data)
            while left > 0:
                piece = await anext(pieces)
                left -= piece.missed if isinstance(piece, Gap) else len(piece.data)
        held = await longest_hold(terminal.screen)
        found.append((f"screen of {what}: holds the loop", held * 1e3, "ms (≤ 5)"))
        await terminal.terminate(0)
    return found


async def longest_hold(call: Callable[[], Awaitable[object]]) -> float:
    longest, is_over = 0.0, False

    async def watch() -> None:
        nonlocal longest
        while not is_over:
            started = time.thread_time()
            await anyio.lowlevel.checkpoint()
            longest = max(longest, time.thread_time() - started)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await call()
        is_over = True
    return longest
