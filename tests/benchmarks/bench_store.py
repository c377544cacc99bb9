"""The store `json` against its bare bounds, in one run: ``python tests/benchmarks store``.

Each ratio is that of two medians, taken from rounds in which both were measured in turn; the bar
stands beside it. Garbage collection is paused in both.
"""

from __future__ import annotations

import fcntl
import gc
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias
from uuid import UUID, uuid4

import anyio
import anyio.abc
import bench_store_processes
from pydantic import BaseModel

from frith import ManagerConfig, SessionManager
from frith.model import Changes, Session, SessionStatus, Snapshot, now
from frith_json.options import JsonOptions
from frith_json.store import JsonStore
from frith_json.worker import Worker

Figure: TypeAlias = tuple[str, float, str]
Once: TypeAlias = Callable[[], Awaitable[float]]
"""Does something once and returns the seconds that it took."""

ROUNDS = 41
CALLERS = 100
COMMITS = 1_000
FILE = JsonOptions().file
IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")


def git(workspace: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=workspace, check=True)


def sessions(count: int) -> tuple[Session, ...]:
    """Records of about 450 bytes."""
    moment = now()
    return tuple(
        Session(
            id=str(UUID(int=uuid4().int, version=4)),
            name=f"feature-2025-11-24-{number:03d}",
            status=SessionStatus.IDLE,
            branch=f"feature/feature-2025-11-24-{number:03d}",
            worktree_path=f"/workspace/.worktrees/{uuid4()}",
            created_at=moment,
            last_activity=moment,
            metadata={"task": "make it faster", "tokens": 12345},
        )
        for number in range(count)
    )


def raw_save(path: Path, data: bytes) -> None:
    """The atomic save and nothing else: write, fsync, rename, fsync the directory."""
    temporary = path.with_suffix(".tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


async def ratio(measured: Once, *bounds: Once, rounds: int = ROUNDS) -> list[float]:
    """Return the median of ``measured`` over that of each bound, run in turn."""
    taken: list[list[float]] = [[] for _ in (measured, *bounds)]
    with paused_gc():
        for _ in range(rounds):
            for once, times in zip((measured, *bounds), taken, strict=True):
                times.append(await once())
    ours, *bare = map(statistics.median, taken)
    return [ours / each for each in bare]


@contextmanager
def paused_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def encoded(session: Session) -> bytes:
    return session.model_dump_json(by_alias=True, exclude_none=True).encode()


def touch(session_id: str, snapshot: Snapshot) -> Changes:
    return Changes(put=(snapshot.sessions[session_id].evolve(last_activity=now()),))


async def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def locked_save(path: Path, data: bytes) -> None:
    """A raw save that takes the lock."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        raw_save(path, data)
    finally:
        os.close(lock)


async def in_thread(worker: Worker, work: Callable[[], object]) -> float:
    """As :func:`timed`, in a thread of its own: what blocks must not block the loop."""
    start = time.perf_counter()
    await worker.run(work)
    return time.perf_counter() - start


@asynccontextmanager
async def running() -> AsyncIterator[Worker]:
    worker = Worker("bare", 10, 10)
    try:
        yield worker
    finally:
        await worker.close(10)


async def one_change(store: JsonStore, session_id: str) -> float:
    start = time.perf_counter()
    await store.transact(partial(touch, session_id))
    return time.perf_counter() - start


async def at_once(call: Callable[[int], Awaitable[object]]) -> float:
    """From the moment when all callers are told to begin until the last has its answer."""
    begin, ready = anyio.Event(), anyio.Event()
    waiting, last = 0, 0.0

    async def caller(number: int) -> None:
        nonlocal waiting, last
        waiting += 1
        if waiting == CALLERS:
            ready.set()
        await begin.wait()
        await call(number)
        last = time.perf_counter()

    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(caller, number)
        await ready.wait()
        start = time.perf_counter()
        begin.set()
    return last - start


async def many_changes(manager: SessionManager, ids: list[str]) -> float:
    return await at_once(lambda n: manager.update_last_activity(ids[n % len(ids)]))


async def many_woken(
    snapshot: Snapshot, texts: Mapping[str, bytes], save: Callable[[bytes], object]
) -> float:
    """What no store could do without: each caller's change made, one raw save, all woken.

    What is saved contains the changes: pydantic encodes each session that was changed, and the
    texts of the others are known.
    """
    saved, calls = anyio.Event(), 0
    ids, changed = list(texts), dict[str, Session]()

    async def call(number: int) -> None:
        nonlocal calls
        (session,) = touch(ids[number % len(ids)], snapshot).put
        changed[session.id] = session
        calls += 1
        if calls == CALLERS:
            save(b",".join({**texts, **{key: encoded(s) for key, s in changed.items()}}.values()))
            saved.set()
        await saved.wait()

    return await at_once(call)


class Records(BaseModel):
    """The file as pydantic alone would read it."""

    version: str
    sessions: list[Session]


@asynccontextmanager
async def filled(workspace: Path, count: int) -> AsyncIterator[tuple[JsonStore, list[str]]]:
    """A store of ``count`` records, and their ids."""
    git(workspace, "init", "-q")
    git(workspace, *IDENTITY, "commit", "-q", "--allow-empty", "-m", "start")
    everything = sessions(count)
    async with JsonStore.opened(workspace, JsonOptions()) as store:
        await store.transact(lambda _: Changes(put=everything))
        yield store, [session.id for session in everything]


async def changing(count: int, workspace: Path) -> list[Figure]:
    """What one change costs, beside a raw save of the same bytes."""
    async with filled(workspace, count) as (store, ids), running() as worker:
        data = (workspace / FILE).read_bytes()
        save = partial(raw_save, workspace / "bare.json", data)
        locked = partial(locked_save, workspace / "locked.json", data)
        over_locked, over_raw = await ratio(
            partial(one_change, store, ids[count // 2]),
            partial(in_thread, worker, locked),
            partial(timed, save),
        )
    said = f"x a raw save that locks, in a thread (bar 1.25); {over_raw:.2f} x without both"
    return [(f"one durable change, {count:,} records", over_locked, said)]


async def gathering(count: int, workspace: Path) -> list[Figure]:
    """What changes at once of a manager cost, beside what no store could do without."""
    async with filled(workspace, count) as (store, ids):
        snapshot = await store.load()
    before = after = 0
    async with SessionManager(ManagerConfig(workspace=workspace)) as manager:
        texts = {session.id: encoded(session) for session in snapshot.sessions.values()}
        save = partial(raw_save, workspace / "bare.json")
        before = (await revisions(workspace)).revision
        (over,) = await ratio(
            partial(many_changes, manager, ids), partial(many_woken, snapshot, texts, save)
        )
        after = (await revisions(workspace)).revision
    at = f"{CALLERS} changes at once of a manager, {count:,} records"
    return [
        (at, over, "x making them, one raw save and waking all (bar 1.5)"),
        (f"commits of {at}", (after - before) / ROUNDS, "(bar 3)"),
    ]


async def revisions(workspace: Path) -> Snapshot:
    async with JsonStore.opened(workspace, JsonOptions()) as store:
        return await store.load()


async def loading(count: int, workspace: Path) -> list[Figure]:
    """What the first load costs, beside pydantic's validation of the same bytes."""
    async with filled(workspace, count):
        data = (workspace / FILE).read_bytes()

    async def load() -> float:
        async with JsonStore.opened(workspace, JsonOptions()) as fresh:
            start = time.perf_counter()
            await fresh.load()
            return time.perf_counter() - start

    def read() -> None:
        Records.model_validate_json((workspace / FILE).read_bytes())

    validate = partial(timed, partial(Records.model_validate_json, data))
    async with running() as worker:
        found, over_read = await ratio(load, validate, partial(in_thread, worker, read), rounds=21)
    said = f"x validate_json (bar 1.2); {over_read:.2f} x reading the file, too, in a thread"
    return [(f"first load, {count:,} records", found, said)]


async def stalling(count: int, workspace: Path) -> list[Figure]:
    """The longest stall of the event loop, beside that of an idle one."""
    gaps: dict[str, list[float]] = {"idle": [], "commits": [], "loads": []}
    async with filled(workspace, count) as (store, ids):

        async def load() -> None:
            async with JsonStore.opened(workspace, JsonOptions()) as fresh:
                await fresh.load()

        with paused_gc():
            for _ in range(15):
                async with heartbeat(gaps["idle"]):
                    await anyio.sleep(0.02)
                async with heartbeat(gaps["commits"]):
                    await one_change(store, ids[0])
                async with heartbeat(gaps["loads"]):
                    await load()
                gc.collect()
    bare = statistics.median(gaps.pop("idle")) * 1000
    return [
        (
            f"longest stall of the loop while it {what}, ms, {count:,} records",
            statistics.median(found) * 1000,
            f"beside {bare:.2f} when idle (bar 5); worst of {len(found)}: {max(found) * 1000:.1f}",
        )
        for what, found in gaps.items()
    ]


@asynccontextmanager
async def heartbeat(gaps: list[float]) -> AsyncIterator[None]:
    """Add the longest time between two turns of the loop, in seconds, to ``gaps``."""
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        before = time.perf_counter()
        while True:
            await anyio.sleep(0.0002)
            moment = time.perf_counter()
            longest = max(longest, moment - before)
            before = moment

    async with anyio.create_task_group() as group:
        group.start_soon(beat)
        await anyio.sleep(0.002)
        yield
        group.cancel_scope.cancel()
    gaps.append(longest)


async def lasting(workspace: Path) -> list[Figure]:
    """What is left over after many commits."""

    def left() -> tuple[int, int, int]:
        tasks = len(os.listdir("/proc/self/task"))
        files = [path for path in workspace.rglob("*") if path.is_file()]
        return len(os.listdir("/proc/self/fd")), tasks, len(files)

    async with filled(workspace, 4) as (store, ids):
        await one_change(store, ids[0])
        before = left()
        for _ in range(COMMITS):
            await one_change(store, ids[0])
        after = left()
    kinds = ("descriptors", "threads", "files")
    return [
        (f"{kind} left over by {COMMITS:,} commits", float(b - a), "(bar 0)")
        for kind, a, b in zip(kinds, before, after, strict=True)
    ]


def run(backend: str = "asyncio") -> Iterator[Figure]:
    """Measure everything; each figure is (name, figure, what it is compared with)."""
    jobs: list[Callable[[Path], Awaitable[list[Figure]]]] = []
    for count in (4, 100, 1000):
        jobs += [partial(job, count) for job in (changing, gathering, loading, stalling)]
    for job in (*jobs, lasting):
        with tempfile.TemporaryDirectory() as directory:
            yield from anyio.run(job, Path(directory), backend=backend)
    yield from bench_store_processes.run()
