"""Other terminals of Python, where they are installed, measured beside the same bare bounds.

Each is driven as its own documentation does. To have them: ``pip install ptyprocess pexpect``.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
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
        for mode in ("cooked", "raw"):
            pairs = [(bare_flood(mode), _flood(start, mode)) for _ in range(runs)]
            throughput = statistics.median(theirs[0] / its[0] for theirs, its in pairs)
            cpu = statistics.median(its[1] / theirs[1] for theirs, its in pairs)
            yield f"{name}: throughput, {mode}", throughput, "x read"
            yield f"{name}: host CPU, {mode}", cpu, "x read"
        yield f"{name}: echo, p50", _echo(start, bare, runs * 100), "x write and read"
        spawns = []
        for _ in range(runs):
            reference, started = bare_start(), time.perf_counter()
            child = start("true")
            spawns.append((time.perf_counter() - started) / reference)
            child.close(force=True)
        yield f"{name}: spawn blocks", statistics.median(spawns), "x pty.fork"
