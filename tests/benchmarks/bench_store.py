"""The store `json` against its bare bounds, in one run: ``python tests/benchmarks/bench_store.py``.

Each figure is the ratio of two medians, taken from rounds in which both were measured in turn.
"""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import anyio
from pydantic import BaseModel

from spinney.model import Changes, Session, SessionStatus, Snapshot, now
from spinney_json.options import JsonOptions
from spinney_json.store import JsonStore

Figure = tuple[str, float, str]
Once = Callable[[], Awaitable[None]]

ROUNDS = 31
CALLERS = 100


def sessions(count: int) -> tuple[Session, ...]:
    """Records of about 450 bytes."""
    moment = now()
    return tuple(
        Session(
            id=str(UUID(int=uuid4().int, version=4)),
            name=f"feature-2025-11-24-{number:03d}",
            status=SessionStatus.ACTIVE,
            branch=f"feature/feature-2025-11-24-{number:03d}",
            worktree_path=f"/workspace/.worktrees/{uuid4()}",
            pty_pid=4711,
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


async def ratio(measured: Once, bound: Once, rounds: int = ROUNDS) -> float:
    """Return the median of ``measured`` over that of ``bound``, run in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    with paused_gc():
        for _ in range(rounds):
            for once, taken in zip((measured, bound), times, strict=True):
                start = time.perf_counter()
                await once()
                taken.append(time.perf_counter() - start)
    return statistics.median(times[0]) / statistics.median(times[1])


@contextmanager
def paused_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def touch(session_id: str, snapshot: Snapshot) -> Changes:
    return Changes(put=(snapshot.sessions[session_id].evolve(last_activity=now()),))


async def one_change(store: JsonStore, session_id: str) -> None:
    await store.transact(partial(touch, session_id))


async def many_changes(store: JsonStore, session_id: str) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(CALLERS):
            group.start_soon(one_change, store, session_id)


class Records(BaseModel):
    """The file as pydantic alone would read it."""

    version: str
    sessions: list[Session]


async def figures_of(count: int, workspace: Path) -> list[Figure]:
    """Measure a store of ``count`` records."""
    (workspace / ".git").mkdir()
    everything = sessions(count)
    options = JsonOptions()
    async with JsonStore.opened(workspace, options) as store:
        await store.transact(lambda _: Changes(put=everything))
        data = (workspace / options.file).read_bytes()
        bare = workspace / "bare.json"

        async def save() -> None:
            raw_save(bare, data)

        async def load() -> None:
            async with JsonStore.opened(workspace, options) as fresh:
                await fresh.load()

        async def validate() -> None:
            Records.model_validate_json((workspace / options.file).read_bytes())

        session_id = everything[-1].id
        await one_change(store, session_id)
        change = await ratio(partial(one_change, store, session_id), save)
        before = store.stats.fsyncs
        group = await ratio(partial(many_changes, store, session_id), save)
        cycles = (store.stats.fsyncs - before) / 2 / (ROUNDS * CALLERS)
        load_ratio = await ratio(load, validate)
    return [
        (f"one durable change, {count} records", change, "raw atomic save"),
        (f"{CALLERS} concurrent changes, {count} records", group, "one raw atomic save"),
        (f"fsync cycles a change, {count} records", cycles, "one a change"),
        (f"open and load, {count} records", load_ratio, "validate_json"),
    ]


def run() -> list[Figure]:
    """Measure everything; each figure is (name, ratio, what it is compared with)."""
    found: list[Figure] = []
    for count in (4, 100, 1000):
        with tempfile.TemporaryDirectory() as directory:
            found += anyio.run(figures_of, count, Path(directory))
    return found


if __name__ == "__main__":
    for name, figure, bound in run():
        print(f"{name:<45} {figure:8.3f} x {bound}")
