"""Keepers beside the terminal `pty` and other tools: ``python tests/benchmarks keeper``.

Beside tmux and dtach, where they are installed, the command `frith` is measured as a user has
it. Ratios are medians of pairs taken in turn.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import anyio
from bench_terminals import Row, our_flood
from keeper_rivals import side_by_side
from terminal_programs import ECHO, BareEcho, bare_flood

from frith.model import Details, Session, SessionStatus, now
from frith.ports import SpawnRequest, Terminal, TerminalSpawner
from frith_keeper import zygote
from frith_keeper.options import KeeperOptions
from frith_keeper.spawner import open_spawner as open_keeper
from frith_pty.spawner import open_spawner as open_pty
from frith_terminals.options import TerminalOptions

MANY = 20
RUNS = 11


def run() -> Iterator[Row]:
    """Yield rows of what was measured, the figure, and what it is measured in or against."""
    with tempfile.TemporaryDirectory() as directory:
        workspace = Path(directory)
        for part in (throughput, echo, starts, rest):
            yield from anyio.run(part, workspace)
        yield from adoption(workspace)
        yield from side_by_side(workspace)


@asynccontextmanager
async def keepers(workspace: Path) -> AsyncIterator[TerminalSpawner]:
    (workspace / ".git").mkdir(exist_ok=True)
    async with open_keeper(KeeperOptions(), workspace) as spawner:
        yield spawner


async def spawn(spawner: TerminalSpawner, *command: str) -> Terminal:
    return await spawner.spawn(SpawnRequest(str(uuid4()), command, "/", "/"))


async def throughput(workspace: Path) -> list[Row]:
    rows = []
    async with keepers(workspace) as ours, open_pty(TerminalOptions(), "/") as direct_ones:
        for mode, bar in (("cooked", "≥ 0.95"), ("raw", "≥ 0.85")):
            pairs = []
            for _ in range(RUNS):
                bare = bare_flood(mode)[0]
                direct = (await our_flood(direct_ones, mode, 1))[0]
                pairs.append((bare, direct, (await our_flood(ours, mode, 1))[0]))
            ratio = statistics.median(direct / kept for _, direct, kept in pairs)
            read = statistics.median(bare / kept for bare, _, kept in pairs)
            rows.append((f"throughput, {mode}", ratio, f"x pty ({bar}); {read:.2f} x read"))
    return rows


async def echoes(terminal: Terminal, bare: BareEcho, times: int) -> float:
    values = []
    async with terminal.attach() as view:
        parts = view.__aiter__()
        if b"ready" not in view.snapshot:
            await anext(parts)
        for _ in range(times):
            reference, started = bare.once(), time.perf_counter()
            await terminal.write(b"x")
            await anext(parts)
            values.append((time.perf_counter() - started) / reference)
    await terminal.terminate(0)
    return statistics.median(values)


async def echo(workspace: Path) -> list[Row]:
    bare = BareEcho()
    async with keepers(workspace) as ours, open_pty(TerminalOptions(), "/") as direct_ones:
        direct = await echoes(await spawn(direct_ones, *ECHO), bare, RUNS * 50)
        kept = await echoes(await spawn(ours, *ECHO), bare, RUNS * 50)
    rows = [("echo of one byte, p50", kept / direct, f"x pty (≤ 2.5); {kept:.2f} x write and read")]
    bare.close()
    return rows


FORKS = """
import gc
gc.collect()
gc.freeze()
while os.read(0, 1):
    if not (pid := os.fork()):
        os.execv("/bin/true", ["true"])
    os.waitpid(pid, 0)
    os.write(1, b"x")
"""
"""A process with all modules of a keeper, which forks and executes `true` for each byte."""


async def starts(workspace: Path) -> list[Row]:
    took: dict[str, list[float]] = {"pty": [], "keeper": [], "true": []}
    program = zygote._PROGRAM.replace("main()", f"import os\n{FORKS}")
    command = [sys.executable, "-I", "-S", "-c", program, *zygote._PATHS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as forks:
        assert forks.stdin is not None
        assert forks.stdout is not None
        async with keepers(workspace) as ours, open_pty(TerminalOptions(), "/") as direct_ones:
            for _ in range(RUNS * 2):
                started = time.perf_counter()
                forks.stdin.write(b"x")
                forks.stdout.read(1)
                took["true"].append((time.perf_counter() - started) * 1e3)
                for name, spawner in (("pty", direct_ones), ("keeper", ours)):
                    started = time.perf_counter()
                    terminal = await spawn(spawner, "cat")
                    took[name].append((time.perf_counter() - started) * 1e3)
                    await terminal.terminate(0)
        forks.stdin.close()
    first, *others = took["keeper"]
    middle = statistics.median(others)
    ratio = statistics.median(
        keeper / true for keeper, true in zip(others, took["true"][1:], strict=True)
    )
    return [
        ("first start of a host, with its zygote", first, "ms"),
        ("start, beyond that of pty", middle - statistics.median(took["pty"]), "ms (≤ 40)"),
        ("  beside fork and exec of `true` from a zygote", ratio, f"x (≤ 3); {middle:.1f} ms"),
    ]


async def rest(workspace: Path) -> list[Row]:
    async with keepers(workspace) as ours:
        terminals = [await spawn(ours, "cat") for _ in range(MANY)]
        pids = [int(str(terminal.ref["keeper"])) for terminal in terminals]
        await anyio.sleep(1)
        before = sum(map(wakes, pids))
        await anyio.sleep(10)
        woken = sum(map(wakes, pids)) - before
        memory = statistics.median(proportional(pid) for pid in pids)
        own = statistics.median(private(pid) for pid in pids)
        for terminal in terminals:
            await terminal.terminate(0)
    return [
        (f"memory of one of {MANY} keepers at rest", memory, "MiB proportional (≤ 8)"),
        ("  its own, without the ring", own, "MiB private and dirty (≤ 1)"),
        (f"wake-ups of {MANY} keepers in 10 s", woken, "(0)"),
    ]


def wakes(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if "ctxt_switches" in line)


def proportional(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss: +(\d+)", text, re.MULTILINE)[1]) / 1024  # type: ignore[index]


def private(pid: int) -> float:
    """Return the MiB that only ``pid`` has, and has written to, but for files in memory."""
    text = Path(f"/proc/{pid}/smaps").read_text()
    mappings = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)
    found = (re.search(r"^Private_Dirty: +(\d+)", each, re.MULTILINE) for each in mappings)
    return (
        sum(
            int(dirty[1])
            for each, dirty in zip(mappings, found, strict=True)
            if dirty and "/memfd:" not in each
        )
        / 1024
    )


def adoption(workspace: Path) -> Iterator[Row]:
    command = [sys.executable, __file__, str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        lines = [host.stdout.readline().split() for _ in range(MANY)]
        host.kill()
    yield from anyio.run(adopt_all, workspace, lines)


async def leave_behind(workspace: Path) -> None:
    """A host of many sessions, to be killed."""
    async with keepers(workspace) as spawner:
        for _ in range(MANY):
            session_id = str(uuid4())
            terminal = await spawner.spawn(SpawnRequest(session_id, ("cat",), "/", "/"))
            print(session_id, terminal.ref["terminal"], flush=True)
        await anyio.sleep_forever()


async def adopt_all(workspace: Path, lines: list[list[str]]) -> list[Row]:
    directory = workspace / ".git/frith/keepers"
    ratios, took = [], []
    for _ in range(RUNS):
        started = time.perf_counter()
        for session_id, terminal_id in lines:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                connection.connect(str(directory / f"{session_id}.{terminal_id}"))
                connection.send(b'{"do": "hello", "seq": 0, "versions": [1]}')
                _, fds, _, _ = socket.recv_fds(connection, 65536, 2)
                for fd in fds:
                    os.close(fd)
        bare = time.perf_counter() - started
        async with keepers(workspace) as spawner:
            started = time.perf_counter()
            found: list[Terminal | None] = []
            async with (
                anyio.create_task_group() as tasks
            ):  # all at once, as a manager does at start
                for line in lines:
                    tasks.start_soon(adopt, spawner, line, found)
            took.append(time.perf_counter() - started)
            ratios.append(took[-1] / bare)
            assert len(found) == MANY
            assert None not in found
    async with keepers(workspace) as spawner:
        for line in lines:
            terminal = await spawner.adopt(recorded(*line))
            assert terminal is not None
            await terminal.terminate(0)
    return [
        (f"adoption of {MANY}", statistics.median(took) * 1e3, "ms (≤ 200)"),
        (
            "  beside opening their sockets, one exchange each",
            statistics.median(ratios),
            "x (≤ 1.2)",
        ),
    ]


async def adopt(spawner: TerminalSpawner, line: list[str], found: list[Terminal | None]) -> None:
    found.append(await spawner.adopt(recorded(*line)))


def recorded(session_id: str, terminal_id: str) -> Session:
    return Session(
        id=session_id,
        name="kept",
        status=SessionStatus.ACTIVE,
        branch="kept",
        worktree_path="/",
        created_at=now(),
        last_activity=now(),
        details=Details(terminal="keeper", terminal_ref={"terminal": terminal_id}),
    )


if __name__ == "__main__":
    anyio.run(leave_behind, Path(sys.argv[1]))
