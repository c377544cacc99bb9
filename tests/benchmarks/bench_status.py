"""The status: how soon it changes, what idle sessions and floods cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import anyio

from frith import ManagerConfig, SessionManager, SessionStatus, hookimpl
from frith.events import SessionStatusChanged, SessionWaiting

Figure = tuple[str, float, str]
_IDLE = 50
_ROUNDS = 15
_FLOOD = 512 * 1024 * 1024


class Clock:
    """A plugin that notes when it is told."""

    def __init__(self) -> None:
        self.told = anyio.Event()
        self.at = 0.0

    def _note(self) -> None:
        self.at = time.monotonic()
        self.told.set()

    @hookimpl
    async def frith_session_waiting(self, event: SessionWaiting) -> None:
        self._note()

    @hookimpl
    async def frith_session_status_changed(self, event: SessionStatusChanged) -> None:
        if event.session.status is not SessionStatus.WAITING:
            self._note()


def run() -> Iterator[Figure]:
    """Yield each figure and what it is measured against."""
    with tempfile.TemporaryDirectory() as directory:
        workspace = Path(directory)
        _git(workspace, "init", "-q")
        _git(workspace, "commit", "-q", "--allow-empty", "-m", "First")
        yield from anyio.run(_latencies, workspace)
        yield from _idle(workspace)
        yield from anyio.run(_flood, workspace)


def _git(workspace: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(["git", *identity, "-C", workspace, *arguments], check=True)


async def _latencies(workspace: Path) -> list[Figure]:
    clock, config = Clock(), ManagerConfig(workspace=workspace)
    script = r"while read x; do printf '\033]777;notify;A;'$x'\007'; sleep 0.5; done"
    reported: list[float] = []
    told: list[float] = []
    async with SessionManager(config, plugins={"clock": clock}) as manager:
        session = await manager.create_session("told", command=("sh", "-c", script))
        terminal = manager.terminal(session.id)
        await clock.told.wait()
        async with SessionManager(config, restore=False) as other:
            for number in range(_ROUNDS):
                clock.told, began = anyio.Event(), time.monotonic()
                await terminal.write(f"{number}\n".encode())
                await clock.told.wait()
                told.append(clock.at - began)
                clock.told, began = anyio.Event(), time.monotonic()
                await other.update_session_status(
                    session.id, SessionStatus.WAITING, message=f"report {number}"
                )
                await clock.told.wait()
                reported.append(clock.at - began)
                await anyio.sleep(1)
        asks = "printf 'Continue? '; python3 -c 'import os, select; r, w = os.pipe();\
 select.select([0, r], [], [])'"
        clock.told = anyio.Event()
        began = time.monotonic()
        await manager.create_session("inferred", command=("sh", "-c", asks))
        await clock.told.wait()
        inferred = clock.at - began
    return [
        ("ms from a notification to the hook, median", median(told) * 1e3, ""),
        ("ms from a notification to the hook, worst", max(told) * 1e3, "at most 200"),
        ("ms from a report elsewhere to the hook, median", median(reported) * 1e3, ""),
        ("ms from a report elsewhere to the hook, worst", max(reported) * 1e3, "at most 200"),
        ("s until a quiet question counts, its start included", inferred, "at most 11"),
    ]


def _idle(workspace: Path) -> Iterator[Figure]:
    host = subprocess.Popen(
        [sys.executable, __file__, str(workspace)], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    host.stdout.readline()
    before = _wakes(host.pid), _cpu(host.pid)
    time.sleep(10)
    after = _wakes(host.pid), _cpu(host.pid)
    host.terminate()
    host.communicate()
    yield f"wake-ups of a host of {_IDLE} idle sessions in 10 s", after[0] - before[0], "0"
    yield f"ticks of CPU of a host of {_IDLE} idle sessions in 10 s", after[1] - before[1], "0"


def _wakes(pid: int) -> int:
    found = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        text = Path(f"/proc/{pid}/task/{thread}/status").read_text()
        found += int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return found


def _cpu(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def _host(workspace: Path) -> None:
    config = ManagerConfig(workspace=workspace, max_sessions=2 * _IDLE)
    async with SessionManager(config) as manager:
        for _ in range(_IDLE):
            await manager.create_session(command=("cat",))
        await anyio.sleep(5)  # until all are `waiting`, and that is stored
        print("idle", flush=True)
        await anyio.sleep_forever()


async def _flood(workspace: Path) -> list[Figure]:
    ratios, cpus = [], []
    for _ in range(5):
        bare = await _flooded(workspace, "none")
        watched = await _flooded(workspace, "status")
        ratios.append(bare[0] / watched[0])
        cpus.append(watched[1] / bare[1])
    return [
        ("throughput of a flood", median(ratios), "without status"),
        ("CPU of the host in a flood", median(cpus), "without status"),
    ]


async def _flooded(workspace: Path, status: str) -> tuple[float, float]:
    config = ManagerConfig(workspace=workspace, status=status, max_sessions=1000)
    write = f"yes {'x' * 79} | head -c {_FLOOD}"
    async with SessionManager(config) as manager:
        began, cpu = time.monotonic(), time.process_time()
        session = await manager.create_session(command=("sh", "-c", write))
        await manager.wait_ended(session.id)
        return time.monotonic() - began, time.process_time() - cpu


if __name__ == "__main__":
    anyio.run(_host, Path(sys.argv[1]))
