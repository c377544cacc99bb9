"""Other terminals, where they are installed, measured beside the same bare bounds.

Each is driven as its own documentation does. To have them: ``pip install pexpect terminado``, and
``npm install node-pty`` in a directory that ``NODE_PATH`` names.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from terminal_programs import (
    ECHO,
    BareEcho,
    Pair,
    apart,
    bare_flood,
    flood,
    until_ready,
)

Row = tuple[str, float, str]


def _rows(name: str, floods: dict[str, list[tuple[Pair, Pair]]], echo: float) -> Iterator[Row]:
    for mode, pairs in floods.items():
        throughput = statistics.median(bare[0] / its[0] for bare, its in pairs)
        cpu = statistics.median(its[1] / bare[1] for bare, its in pairs)
        yield f"{name}: throughput, {mode}", throughput, "x read"
        yield f"{name}: host CPU, {mode}", cpu, "x read"
    yield f"{name}: echo, p50", echo, "x write and read"


def _ptyprocess(*command: str) -> Any:
    return import_module("ptyprocess").PtyProcess.spawn(list(command))


def _pexpect(*command: str) -> Any:
    child = import_module("pexpect").spawn(command[0], list(command[1:]), timeout=30)
    child.delaybeforesend = None
    return child


def _read(child: Any) -> bytes:
    if hasattr(child, "read_nonblocking"):  # pexpect's read() waits for the end
        return bytes(child.read_nonblocking(65536, timeout=30))
    return bytes(child.read(65536))


def _flood(start: Callable[..., Any], mode: str) -> Pair:
    child = start(*flood(mode))
    until_ready(lambda: _read(child))
    started, cpu = time.perf_counter(), time.process_time()
    child.write(b"\n")
    # Both libraries say the end by an exception of their own.
    with contextlib.suppress(Exception):
        while _read(child):
            pass
    took = time.perf_counter() - started, time.process_time() - cpu
    child.close(force=True)
    return took


def _echo(start: Callable[..., Any], bare: BareEcho, times: int) -> float:
    child = start(*ECHO)
    until_ready(lambda: _read(child))
    apart(child.pid)
    ratios = []
    for _ in range(times):
        reference = bare.once()
        started = time.perf_counter()
        child.write(b"x")
        _read(child)
        ratios.append((time.perf_counter() - started) / reference)
    child.close(force=True)
    return statistics.median(ratios)


def rows(runs: int, bare: BareEcho, bare_start: Callable[[], float]) -> Iterator[Row]:
    """Yield the rows of each rival that is installed."""
    for name, start in (("ptyprocess", _ptyprocess), ("pexpect", _pexpect)):
        try:
            import_module(name)
        except ImportError:
            continue
        floods = {
            mode: [(bare_flood(mode), _flood(start, mode)) for _ in range(runs)]
            for mode in ("cooked", "raw")
        }
        yield from _rows(name, floods, _echo(start, bare, runs * 100))
        spawns = []
        for _ in range(runs):
            reference, started = bare_start(), time.perf_counter()
            child = start("true")
            spawns.append((time.perf_counter() - started) / reference)
            child.close(force=True)
        yield f"{name}: spawn blocks", statistics.median(spawns), "x pty.fork"
    with contextlib.suppress(FileNotFoundError, subprocess.CalledProcessError):
        yield from _node_pty(runs, bare, bare_start)


def _node_pty(runs: int, bare: BareEcho, bare_start: Callable[[], float]) -> Iterator[Row]:
    def node(what: str, command: tuple[str, ...], times: int = 0) -> list[float]:
        script = str(Path(__file__).with_suffix(".js"))
        argv = ["node", script, what, json.dumps(command), str(times)]
        done = subprocess.run(argv, check=True, capture_output=True, text=True)
        return [float(number) for number in done.stdout.split()]

    def flooded(mode: str) -> Pair:
        took, cpu = node("flood", flood(mode))
        return took, cpu

    floods = {
        mode: [(bare_flood(mode), flooded(mode)) for _ in range(runs)] for mode in ("cooked", "raw")
    }
    reference = statistics.median(bare.once() for _ in range(runs * 100))
    (echo,) = node("echo", ECHO, runs * 100)
    yield from _rows("node-pty", floods, echo / reference)
    reference = statistics.median(bare_start() for _ in range(runs))
    (spawned,) = node("spawn", ("true",), runs)
    yield "node-pty: spawn blocks", spawned / reference, "x pty.fork"


class _Client:
    """What terminado calls, a web socket elsewhere."""

    size = (24, 80)

    def __init__(self) -> None:
        self.seen = ""
        self.news = asyncio.Event()
        self.died = asyncio.Event()

    def on_pty_read(self, text: str) -> None:
        self.seen = text
        self.news.set()

    def on_pty_died(self) -> None:
        self.died.set()

    async def next(self) -> str:
        await self.news.wait()
        self.news.clear()
        return self.seen


async def terminado_rows(
    runs: int, bare: BareEcho, bare_start: Callable[[], float]
) -> AsyncIterator[Row]:
    """Yield the rows of terminado, which lives in the running loop of asyncio."""
    try:
        management = import_module("terminado.management")
    except ImportError:
        return

    def begun(*command: str) -> tuple[Any, Any, _Client]:
        manager, client = management.UniqueTermManager(shell_command=list(command)), _Client()
        terminal = manager.get_terminal()
        terminal.clients.append(client)
        return manager, terminal, client

    async def flooded(mode: str) -> Pair:
        manager, terminal, client = begun(*flood(mode))
        while "ready" not in await client.next():
            continue
        started, cpu = time.perf_counter(), time.process_time()
        terminal.ptyproc.write("\n")
        await client.died.wait()
        took = time.perf_counter() - started, time.process_time() - cpu
        await manager.shutdown()
        return took

    floods = {
        mode: [(bare_flood(mode), await flooded(mode)) for _ in range(runs)]
        for mode in ("cooked", "raw")
    }
    manager, terminal, client = begun(*ECHO)
    while "ready" not in await client.next():
        continue
    apart(terminal.ptyproc.pid)
    ratios = []
    for _ in range(runs * 100):
        reference = bare.once()
        started = time.perf_counter()
        terminal.ptyproc.write("x")
        await client.next()
        ratios.append((time.perf_counter() - started) / reference)
    terminal.kill()
    await client.died.wait()
    await manager.shutdown()
    for row in _rows("terminado", floods, statistics.median(ratios)):
        yield row
    spawns = []
    for _ in range(runs):
        reference, started = bare_start(), time.perf_counter()
        manager, terminal, client = begun("true")
        spawns.append((time.perf_counter() - started) / reference)
        await client.died.wait()
        await manager.shutdown()
    yield "terminado: spawn blocks", statistics.median(spawns), "x pty.fork"
