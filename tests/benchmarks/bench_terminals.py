"""Terminals beside their bare bounds, in one run: ``python tests/benchmarks terminals``.

Each ratio is the median of pairs that were measured alternately: throughput and host CPU to a
blocking ``os.read`` loop, spawning to ``pty.fork``, echo to a blocking write and read. Absolute
times of one machine mean little; the ratios do.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import statistics
import time
from collections.abc import Callable
from uuid import uuid4

import anyio
import terminal_crowd
import terminal_rivals
import terminal_views
from terminal_programs import (
    BLOCKS,
    ECHO,
    BareEcho,
    Pair,
    apart,
    bare_flood,
    bare_spawn,
    flood,
    until_ready,
)

from frith.ports import AttachMode, Chunk, SpawnRequest, Terminal, TerminalSpawner
from frith_pty.spawner import open_spawner
from frith_terminals.options import TerminalOptions

Row = tuple[str, float, str]


async def spawn(spawner: TerminalSpawner, *command: str) -> Terminal:
    return await spawner.spawn(SpawnRequest(str(uuid4()), command, "/", "/"))


async def our_flood(spawner: TerminalSpawner, mode: str, viewers: int) -> Pair:
    terminal = await spawn(spawner, *flood(mode))
    sizes = []

    async def view() -> None:
        async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
            seen = view.snapshot
            while b"ready" not in seen:
                item = await anext(view.__aiter__())
                assert isinstance(item, Chunk)
                seen += item.data
            ready.release()
            size = len(seen)
            async for item in view:
                assert isinstance(item, Chunk)
                size += len(item.data)
            sizes.append(size)

    ready = anyio.Semaphore(0)
    async with anyio.create_task_group() as tasks:
        for _ in range(viewers):
            tasks.start_soon(view)
        for _ in range(viewers):
            await ready.acquire()
        started, cpu = time.perf_counter(), time.process_time()
        await terminal.write(b"\n")
    took = time.perf_counter() - started, time.process_time() - cpu
    assert min(sizes) >= BLOCKS * 819 * 80
    await terminal.drained()
    await terminal.collect()
    return took


async def plain_flood(mode: str) -> Pair:
    """What asyncio itself costs: a reader that does nothing but read, up to 256 KiB in a turn."""
    pid, master = bare_spawn(*flood(mode))
    until_ready(lambda: os.read(master, 65536))
    os.set_blocking(master, False)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        left = 256 * 1024
        try:
            while left > 0:
                left -= len(os.read(master, 65536))
        except BlockingIOError:
            pass
        except OSError:
            ended.set()

    loop.add_reader(master, read)
    started, cpu = time.perf_counter(), time.process_time()
    os.write(master, b"\n")
    await ended.wait()
    took = time.perf_counter() - started, time.process_time() - cpu
    loop.remove_reader(master)
    os.close(master)
    os.waitpid(pid, 0)
    return took


async def plain_throughput(runs: int) -> list[Row]:
    rows = []
    for mode in ("cooked", "raw"):
        pairs = [(bare_flood(mode), await plain_flood(mode)) for _ in range(runs)]
        speed = statistics.median(bare[0] / plain[0] for bare, plain in pairs)
        cpu = statistics.median(plain[1] / bare[1] for bare, plain in pairs)
        rows += [
            (f"asyncio's add_reader alone: throughput, {mode}", speed, "x read"),
            (f"asyncio's add_reader alone: host CPU, {mode}", cpu, "x read"),
        ]
    return rows


async def throughput(spawner: TerminalSpawner, runs: int) -> list[Row]:
    rows = []
    for mode, viewers, bar in (
        ("cooked", 1, "≥ 0.95"),
        ("raw", 1, "≥ 0.90"),
        ("cooked", 10, "≥ 0.90"),
        ("raw", 10, "≥ 0.85"),
    ):
        pairs = [(bare_flood(mode), await our_flood(spawner, mode, viewers)) for _ in range(runs)]
        speed = statistics.median(bare[0] / ours[0] for bare, ours in pairs)
        cpu = statistics.median(ours[1] / bare[1] for bare, ours in pairs)
        rows += [
            (f"throughput, {mode}, {viewers} viewers", speed, f"x read ({bar})"),
            (f"host CPU, {mode}, {viewers} viewers", cpu, "x read (≤ 1.25 for one viewer)"),
        ]
    return rows


class Loop:
    """Tells how long the running asyncio loop was busy; on trio, just the time."""

    def __init__(self) -> None:
        self._idle = 0.0
        try:
            selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
        except RuntimeError:
            return
        select: Callable[[float | None], object] = selector.select

        def timed(timeout: float | None = None) -> object:
            started = time.perf_counter()
            try:
                return select(timeout)
            finally:
                self._idle += time.perf_counter() - started

        selector.select = timed

    def busy(self) -> float:
        return time.perf_counter() - self._idle


def bare_start() -> float:
    """Seconds that ``pty.fork`` keeps its caller."""
    started = time.perf_counter()
    pid, master = bare_spawn("true")
    took = time.perf_counter() - started
    os.waitpid(pid, 0)
    os.close(master)
    return took


async def spawning(spawner: TerminalSpawner, runs: int, what: str, loop: Loop) -> list[Row]:
    blocked, took, bare = [], [], []
    for _ in range(runs):
        bare.append(bare_start())
        await anyio.wait_all_tasks_blocked()
        started, busy = time.perf_counter(), loop.busy()
        terminal = await spawn(spawner, "true")
        blocked.append(loop.busy() - busy)
        took.append(time.perf_counter() - started)
        await terminal.drained()
    ratio = statistics.median(ours / theirs for ours, theirs in zip(blocked, bare, strict=True))
    return [
        (f"spawn blocks the loop, {what}", ratio, "x pty.fork (≤ 0.50)"),
        (f"spawn blocks the loop, {what}", statistics.median(blocked) * 1e3, "ms (≤ 0.5 at 1 GiB)"),
        (f"spawn takes, {what}", statistics.median(took) * 1e3, "ms"),
    ]


async def echo(spawner: TerminalSpawner, bare: BareEcho, runs: int) -> list[Row]:
    terminal = await spawn(spawner, *ECHO)
    values = []
    async with terminal.attach() as view:
        parts = view.__aiter__()
        if b"ready" not in view.snapshot:
            await anext(parts)
        apart(terminal.pid)
        for _ in range(runs * 100):
            reference = bare.once()
            started = time.perf_counter()
            await terminal.write(b"x")
            await anext(parts)
            values.append((time.perf_counter() - started) / reference)
    await terminal.terminate(0)
    bar = "x write and read (≤ 1.30 on asyncio)"
    return [("echo of one byte, p50", statistics.median(values), bar)]


async def plain_echo(bare: BareEcho, runs: int) -> list[Row]:
    """What asyncio itself costs: a reader that does nothing but read."""
    pid, master = bare_spawn(*ECHO)
    until_ready(lambda: os.read(master, 100))
    apart(pid)
    loop, values = asyncio.get_running_loop(), []
    for _ in range(runs * 100):
        reference = bare.once()
        started = time.perf_counter()
        echoed = loop.create_future()
        loop.add_reader(master, lambda echoed=echoed: echoed.set_result(os.read(master, 10)))  # type: ignore[misc]
        os.write(master, b"x")
        await echoed
        values.append((time.perf_counter() - started) / reference)
    loop.remove_reader(master)
    os.close(master)
    os.waitpid(pid, 0)
    return [("  of it asyncio's add_reader alone", statistics.median(values), "x write and read")]


async def memory(spawner: TerminalSpawner, count: int) -> list[Row]:
    def resident() -> int:
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    for _ in range(2):  # the first warms up
        before = resident()
        terminals = [await spawn(spawner, "sleep", "1000") for _ in range(count)]
        each = (resident() - before) / count / 1024
        for terminal in terminals:
            await terminal.terminate(0)
    return [(f"memory, {count} idle terminals, each", each, "KiB (≤ 4)")]


async def measured(runs: int, backend: str) -> list[Row]:
    bare = BareEcho()
    cores = os.sched_getaffinity(0)
    apart(bare.pid)
    os.sched_setaffinity(0, sorted(cores)[:1])
    async with open_spawner(TerminalOptions(), "/") as spawner:
        rows = await echo(spawner, bare, runs)
    if backend == "asyncio":
        rows += await plain_echo(bare, runs)
    os.sched_setaffinity(0, cores)
    async with open_spawner(TerminalOptions(), "/") as spawner:
        rows += await throughput(spawner, runs)
        if backend == "asyncio":
            rows += await plain_throughput(runs)
        rows += await memory(spawner, 200)
        loop = Loop()
        rows += await spawning(spawner, runs * 5, "small heap", loop)
        heap = bytearray(os.urandom(1) * 2**30)
        rows += await spawning(spawner, runs, "1 GiB heap", loop)
        del heap
    rows += await terminal_views.rows(runs)
    rows += await terminal_crowd.rows()
    rows += terminal_rivals.rows(runs, bare, bare_start)
    if backend == "asyncio":
        rows += [row async for row in terminal_rivals.terminado_rows(runs, bare, bare_start)]
    bare.close()
    return rows


def run(runs: int = 11, backend: str = "asyncio") -> list[Row]:
    """Return rows of what was measured, the figure, and what it is measured in or against."""
    return anyio.run(measured, runs, backend, backend=backend)
