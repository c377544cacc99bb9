"""Several processes at the lock of one store: part of ``python tests/benchmarks store``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import anyio

from frith.model import Changes, Snapshot
from frith_json.options import JsonOptions
from frith_json.store import JsonStore
from frith_os.locks import FileLock

PROCESSES = 4
SECONDS = 4.0
TIMES = 10_000


def uncontended() -> float:
    """Return the median time in microseconds to take and give back a lock that nobody wants."""
    with tempfile.TemporaryDirectory() as directory:
        lock = FileLock(f"{directory}/lock")
        taken = []
        for _ in range(TIMES):
            start = time.perf_counter()
            lock.acquire()
            lock.release()
            taken.append(time.perf_counter() - start)
        lock.close()
    return statistics.median(taken) * 1e6


async def commit_for(workspace: Path, seconds: float) -> tuple[int, float]:
    """Commit as often as possible; return how often, and the longest wait for the lock, in ms."""
    commits, worst = 0, 0.0
    asked = 0.0

    def touch(snapshot: Snapshot) -> Changes:
        nonlocal worst
        worst = max(worst, time.perf_counter() - asked)
        return Changes(put=tuple(snapshot.sessions.values())[:1])

    async with JsonStore.opened(workspace, JsonOptions()) as store:
        await store.load()
        end = time.perf_counter() + seconds
        while (asked := time.perf_counter()) < end:
            await store.transact(touch)
            commits += 1
    return commits, worst * 1000


def contended(workspace: Path) -> list[tuple[int, float]]:
    """Have :data:`PROCESSES` commit at once; return what each found."""
    command = [sys.executable, __file__, str(workspace), str(SECONDS)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [process.communicate()[0].split() for process in processes]
    return [(int(commits), float(worst)) for commits, worst in found]


def run() -> Iterator[tuple[str, float, str]]:
    """Measure everything."""
    from bench_store import sessions

    yield "lock and unlock, nobody else there, us", uncontended(), "(bar 5)"
    with tempfile.TemporaryDirectory() as directory:
        workspace = Path(directory)
        (workspace / ".git").mkdir()

        async def fill() -> None:
            async with JsonStore.opened(workspace, JsonOptions()) as store:
                everything = sessions(1000)
                await store.transact(lambda _: Changes(put=everything))

        anyio.run(fill)
        found = contended(workspace)
    commits = [each for each, _ in found]
    yield (
        f"share of commits, {PROCESSES} processes, 1,000 records",
        min(commits) / max(commits),
        f"least over most of {sum(commits):,} (bar 0.5)",
    )
    yield (
        f"worst wait for the lock, {PROCESSES} processes, ms",
        max(worst for _, worst in found),
        "(bar 100)",
    )


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(*anyio.run(commit_for, Path(sys.argv[1]), float(sys.argv[2])))
