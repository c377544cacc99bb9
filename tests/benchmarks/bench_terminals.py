"""Terminals beside their bare bounds, in one run: ``python tests/benchmarks terminals``.

Each line is the median of pairs that were measured alternately, as a ratio to the bare bound:
throughput and host CPU to a blocking ``os.read`` loop, spawning to ``pty.fork``, echo to a
blocking write and read. Absolute times of one machine mean little; the ratios do.
"""

from __future__ import annotations

import gc
import os
import pty
import resource
import statistics
import sys
import termios
import time
import tty
from collections.abc import Awaitable, Callable
from uuid import uuid4

import anyio

from spinney.ports import AttachMode, SpawnRequest, Terminal, TerminalSpawner
from spinney_pty._spawner import open_spawner
from spinney_pty.options import PtyOptions

FLOOD = """
import os, sys, tty
if sys.argv[1] == "raw":
    tty.setraw(1)
block = (b"x" * 79 + b"\\n") * 819
sys.stdin.buffer.raw.read(1)
for _ in range(int(sys.argv[2])):
    os.write(1, block)
"""
"""Writes 64 KiB blocks of 80-column text, once it was sent a byte (a line, when cooked)."""

Row = tuple[str, float, str]
Pair = tuple[float, float]


def flood(mode: str, blocks: int) -> tuple[str, ...]:
    return (sys.executable, "-SEc", FLOOD, mode, str(blocks))


async def spawn(spawner: TerminalSpawner, *command: str) -> Terminal:
    return await spawner.spawn(SpawnRequest(str(uuid4()), command, "/", "/"))


def bare_spawn(*command: str) -> tuple[int, int]:
    pid, master = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    return pid, master


def bare_flood(mode: str, blocks: int) -> Pair:
    """Seconds and host CPU seconds of a blocking loop."""
    pid, master = bare_spawn(*flood(mode, blocks))
    time.sleep(0.2)
    started, cpu = time.perf_counter(), time.process_time()
    os.write(master, b"\n")
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        pass
    took = time.perf_counter() - started, time.process_time() - cpu
    os.close(master)
    os.waitpid(pid, 0)
    return took


async def our_flood(spawner: TerminalSpawner, mode: str, blocks: int, viewers: int) -> Pair:
    """Seconds and host CPU seconds of a terminal with so many viewers."""
    terminal = await spawn(spawner, *flood(mode, blocks))
    await anyio.sleep(0.2)

    async def view() -> None:
        async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
            async for _ in view:
                pass

    async with anyio.create_task_group() as tasks:
        for _ in range(viewers):
            tasks.start_soon(view)
        await anyio.wait_all_tasks_blocked()
        started, cpu = time.perf_counter(), time.process_time()
        await terminal.write(b"\n")
    return time.perf_counter() - started, time.process_time() - cpu


async def ratios(
    runs: int, ours: Callable[[], Awaitable[Pair]], bare: Callable[[], Pair]
) -> tuple[list[float], list[float]]:
    """Return the ratios ours/bare of both measures, pair by pair."""
    first, second = [], []
    for _ in range(runs):
        theirs, mine = bare(), await ours()
        first.append(mine[0] / theirs[0])
        second.append(mine[1] / theirs[1])
    return first, second


def row(what: str, values: list[float], bar: str) -> Row:
    return what, statistics.median(values), bar


async def throughput(spawner: TerminalSpawner, runs: int) -> list[Row]:
    rows = []
    for mode, viewers, bar in (
        ("cooked", 1, "≥ 0.95"),
        ("raw", 1, "≥ 0.90"),
        ("cooked", 10, "≥ 0.90"),
        ("raw", 10, "≥ 0.85"),
    ):
        blocks = 400
        times, cpu = await ratios(
            runs,
            lambda m=mode, v=viewers, b=blocks: our_flood(spawner, m, b, v),  # type: ignore[misc]
            lambda m=mode, b=blocks: bare_flood(m, b),  # type: ignore[misc]
        )
        rows += [
            row(
                f"throughput, {mode}, {viewers} viewers", [1 / t for t in times], f"x read ({bar})"
            ),
            row(f"host CPU, {mode}, {viewers} viewers", cpu, "x read (≤ 1.25 for one viewer)"),
        ]
    return rows


async def spawning(spawner: TerminalSpawner, runs: int, what: str) -> list[Row]:
    taken = []
    values = []
    for _ in range(runs * 5):
        started = time.perf_counter()
        pid, master = bare_spawn("true")
        bare = time.perf_counter() - started
        os.waitpid(pid, 0)
        os.close(master)
        started = time.perf_counter()
        terminal = await spawn(spawner, "true")
        taken.append(time.perf_counter() - started)
        values.append(taken[-1] / bare)
        await terminal.drained()
    return [
        row(f"spawn, {what}", values, "x pty.fork (≤ 0.50)"),
        row(f"spawn, {what}", [each * 1e3 for each in taken], "ms"),
    ]


async def echo(spawner: TerminalSpawner, runs: int) -> list[Row]:
    pid, master = bare_spawn("sh", "-c", "stty raw -echo; exec cat")
    terminal = await spawn(spawner, "sh", "-c", "stty raw -echo; exec cat")
    await anyio.sleep(0.3)
    tty.setraw(master, termios.TCSANOW)
    values = []
    async with terminal.attach() as view:
        for _ in range(runs * 100):
            started = time.perf_counter()
            os.write(master, b"x")
            os.read(master, 10)
            bare = time.perf_counter() - started
            started = time.perf_counter()
            await terminal.write(b"x")
            await anext(view.__aiter__())
            values.append((time.perf_counter() - started) / bare)
    os.close(master)
    os.waitpid(pid, 0)
    return [row("echo of one byte, p50", values, "x write and read (≤ 1.30 on asyncio)")]


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


async def measured(runs: int) -> list[Row]:
    async with open_spawner(PtyOptions(), "/") as spawner:
        rows = await spawning(spawner, runs, "small heap")
        heap = bytearray(os.urandom(1) * 2**30)
        rows += await spawning(spawner, 1, "1 GiB heap")
        del heap
        rows += await echo(spawner, runs)
        rows += await throughput(spawner, runs)
        rows += await memory(spawner, 200)
        return rows


def run(runs: int = 5, backend: str = "asyncio") -> list[Row]:
    """Return rows of what was measured, the figure, and what it is measured in or against."""
    return anyio.run(measured, runs, backend=backend)
