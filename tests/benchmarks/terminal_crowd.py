"""Many terminals at once: that none starves another, none loses anything, and none costs idle."""

from __future__ import annotations

import gc
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import anyio
from terminal_programs import COUNT, ECHO, python

from frith.ports import AttachMode, Chunk, SpawnRequest, Terminal, TerminalSpawner
from frith_pty.spawner import open_spawner
from frith_terminals.options import TerminalOptions

Row = tuple[str, float, str]

SCROLLBACK = 256 * 1024
SECONDS = 5.0
FLOODS, SLOW, QUIET = 20, 5, 80
BOUND = (FLOODS + 1 + SLOW) * (SCROLLBACK + 2 * 64 * 1024) + (FLOODS + QUIET) * 8 * 1024
"""Bytes stated beforehand: a ring and two chunks for each that has output, 8 KiB for all."""

IDLE_HOST = """
import anyio
from uuid import uuid4
from frith.ports import SpawnRequest
from frith_pty.spawner import open_spawner
from frith_terminals.options import TerminalOptions

async def main():
    async with open_spawner(TerminalOptions(), "/") as spawner:
        for _ in range(50):
            await spawner.spawn(SpawnRequest(str(uuid4()), ("cat",), "/", "/"))
        print("ready", flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


async def rows() -> list[Row]:
    return [*await lag(), *await crowd(), *await tails(), *idle()]


async def spawn(spawner: TerminalSpawner, *command: str) -> Terminal:
    return await spawner.spawn(SpawnRequest(str(uuid4()), command, "/", "/"))


async def follow(terminal: Terminal) -> None:
    async with terminal.attach() as view:
        async for _ in view:
            pass


async def lag() -> list[Row]:
    """How late the loop is while twenty terminals flood, each with a viewer."""
    late = []
    async with open_spawner(TerminalOptions(), "/") as spawner, anyio.create_task_group() as tasks:
        for _ in range(FLOODS):
            tasks.start_soon(follow, await spawn(spawner, *python(COUNT)))
        await anyio.sleep(1)
        until = time.perf_counter() + SECONDS
        while (now := time.perf_counter()) < until:
            await anyio.sleep(0.002)
            late.append((time.perf_counter() - now - 0.002) * 1e3)
        tasks.cancel_scope.cancel()
    return [("loop lag under 20 floods, p99", p99(late), "ms (≤ 10)")]


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[-1]


async def slowly(terminal: Terminal, wrong: list[int]) -> None:
    """Follow the output of ``COUNT`` losslessly, a chunk at a time; note what is not right."""
    async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
        position = view.offset + len(view.snapshot)
        async for part in view:
            assert isinstance(part, Chunk)
            wrong[0] += part.offset - position + (part.data != counted(part))
            position = part.offset + len(part.data)
            await anyio.sleep(0.05)


def counted(part: Chunk) -> bytes:
    first, skip = divmod(part.offset, 8)
    count = (len(part.data) + skip) // 8 + 1
    lines = b"".join(b"%07d\n" % (n % 10**7) for n in range(first, first + count))
    return lines[skip : skip + len(part.data)]


async def crowd() -> list[Row]:
    """100 terminals: 20 flood, 5 of them read slowly and losslessly; how are the other 80?"""
    echoes: list[float] = []
    wrong = [0]
    options = TerminalOptions(scrollback=SCROLLBACK)
    async with open_spawner(options, "/") as spawner, anyio.create_task_group() as tasks:
        quiet = [await spawn(spawner, *ECHO) for _ in range(QUIET)]
        await anyio.sleep(2)
        before = resident()
        for number in range(FLOODS):
            terminal = await spawn(spawner, *python(COUNT))
            if number < SLOW:
                tasks.start_soon(slowly, terminal, wrong)
            else:
                tasks.start_soon(follow, terminal)
        await anyio.sleep(1)
        until, peak = time.perf_counter() + SECONDS, 0
        while time.perf_counter() < until:
            chosen = random.choice(quiet)
            async with chosen.attach() as view:
                started = time.perf_counter()
                await chosen.write(b"x")
                await anext(view.__aiter__())
                echoes.append((time.perf_counter() - started) * 1e3)
            peak = max(peak, resident())
            await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    return [
        ("100 terminals, 20 flooding: echo in quiet, p99", p99(echoes), "ms (≤ 10)"),
        ("  bytes wrong or lost to 5 slow lossless viewers", wrong[0], "(0)"),
        ("  memory above idle", (peak - before) / BOUND, f"x {BOUND / 2**20:.1f} MiB stated (≤ 1)"),
    ]


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def tails() -> list[Row]:
    """Children that write and are gone at once; ``FRITH_CHILDREN`` says how many."""
    count = int(os.environ.get("FRITH_CHILDREN", "500"))
    lost = wrong = 0
    descriptors = len(os.listdir("/proc/self/fd"))
    async with open_spawner(TerminalOptions(), "/") as spawner:
        gc.collect()
        limiter = anyio.CapacityLimiter(8)

        async def one(number: int) -> None:
            nonlocal lost, wrong
            size = (1, 3000, 60_000)[number % 3]
            script = f"stty -opost; head -c {size} /dev/zero; exit {number % 200}"
            async with limiter:
                terminal = await spawn(spawner, "sh", "-c", script)
                wrong += (await terminal.exited()).code != number % 200
                await terminal.drained()
                async with terminal.attach() as view:
                    lost += len(view.snapshot) != size

        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(one, number)
    try:
        zombies = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        zombies = False
    left = len(os.listdir("/proc/self/fd")) - descriptors
    return [
        (f"{count} children: tails lost", lost, "(0)"),
        (f"{count} children: exit statuses wrong", wrong, "(0)"),
        (f"{count} children: descriptors left, zombies", left + zombies, "(0)"),
    ]


def idle() -> list[Row]:
    """What a host of 50 idle terminals does in ten seconds, as the kernel counts it."""
    with host() as pid:
        time.sleep(2)
        before = activity(pid)
        time.sleep(10)
        wakes, ticks = (after - first for after, first in zip(activity(pid), before, strict=True))
    return [
        ("50 idle terminals: wake-ups of the host in 10 s", wakes, "(0)"),
        ("  clock ticks of CPU", ticks, "(0)"),
    ]


@contextmanager
def host() -> Iterator[int]:
    command = [sys.executable, "-c", IDLE_HOST]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


def activity(pid: int) -> tuple[int, int]:
    """How often any thread of ``pid`` has gone back to sleep; clock ticks it has run."""
    switches = ticks = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                switches += int(line.split()[1])
        ticks += sum(map(int, (task / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return switches, ticks
