"""Several writing and reading processes, killed at random, and their history.

The begun commits, loaded states and reported results must fit one order of commits.
``python -m frith_testing.faults.histories --provider store:json --seconds 600``
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio

from frith.errors import CommitOutcomeUnknownError, StoreBusyError
from frith_testing.faults.command import report_on
from frith_testing.faults.history.counters import State, beginning, counting
from frith_testing.faults.history.notebook import Notebook, read_notebooks
from frith_testing.faults.history.order import Load, violations
from frith_testing.faults.machine.fresh_process import (
    fork,
    forked,
    import_machinery,
    in_fresh_process,
)
from frith_testing.harness.opening import Opening

_PATIENCE = 60.0
"""Seconds that a process has to end at the end of the run."""
_LONGEST = 0.3
"""Seconds between two kills, at most."""
_PAUSE = 0.002
"""Seconds between two loads of a reader, which would otherwise use up the processor."""

Work: TypeAlias = Callable[[Notebook], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HistoriesReport:
    """The result of a run."""

    seed: int
    seconds: float
    kills: int
    commits: int
    """Acknowledged."""
    in_doubt: int
    """Begun, but not acknowledged because the process was killed."""
    loads: int
    least: int
    """Acknowledged commits of the writer that had the fewest."""
    most: int
    worst_wait: float
    """Seconds that the slowest acknowledged commit took."""
    violations: tuple[str, ...]


def run(
    opening: Opening,
    *,
    seconds: float,
    seed: int,
    commits: int = 0,
    writers: int = 4,
    readers: int = 2,
) -> HistoriesReport:
    """Let processes write and read, and kill one from time to time.

    Args:
        opening: opens the store, on a workspace in which nothing is stored yet.
        seconds: how long to run, at least.
        seed: of the random choice which process is killed when.
        commits: how many commits must be acknowledged, and how many loads must return, at least;
            a slow machine runs longer than ``seconds`` for it.
        writers: processes that commit at once.
        readers: processes that load at once.
    """
    return in_fresh_process(control, opening, seconds, commits, seed, writers, readers)


def control(
    opening: Opening, seconds: float, commits: int, seed: int, writers: int, readers: int
) -> HistoriesReport:
    """As :func:`run`, in this process, which must have one thread."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be unpredictable
    anyio.run(import_machinery, opening)
    began = time.monotonic()
    start = forked(partial(anyio.run, _begin, opening, writers))
    progress = _Progress(time.monotonic() + seconds, commits)
    works: list[Work] = [partial(_write, opening, writer, progress) for writer in range(writers)]
    works += [partial(_read, opening, progress)] * readers
    with tempfile.TemporaryDirectory() as name:
        kills, hung = _kill_at_random(works, Path(name), progress, chance)
        attempts, loads, failures = read_notebooks(Path(name))
    if not hung and not failures:
        loads.append(forked(partial(anyio.run, _end, opening)))
    acknowledged = [commit for commit in attempts if commit.made is not None]
    counts = [sum(c.writer == writer for c in acknowledged) for writer in range(writers)]
    waits = [commit.end - commit.begin for commit in acknowledged if commit.end is not None]
    return HistoriesReport(
        seed=seed,
        seconds=time.monotonic() - began,
        kills=kills,
        commits=len(acknowledged),
        in_doubt=sum(commit.end is None for commit in attempts),
        loads=len(loads),
        least=min(counts),
        most=max(counts),
        worst_wait=max(waits, default=0) / 1e9,
        violations=(*hung, *failures, *violations(start, attempts, loads)),
    )


async def _begin(opening: Opening, writers: int) -> State:
    async with opening.open() as store:
        return State.of((await store.transact(lambda _: beginning(writers))).snapshot)


async def _end(opening: Opening) -> Load:
    begin = time.monotonic_ns()
    async with opening.open() as store:
        state = State.of(await store.load())
    return Load("the end", begin, time.monotonic_ns(), state)


class _Progress:
    """Shared memory of the processes: how much they have done, and whether one has failed."""

    def __init__(self, until: float, least: int) -> None:
        self._until = until
        self._least = least
        self._parent = os.getpid()
        self._shared = memoryview(mmap.mmap(-1, 24)).cast("q")

    @property
    def over(self) -> bool:
        """Whether a process must end, also because its parent is dead."""
        commits, loads, failed = self._shared
        late = time.monotonic() - self._until
        enough = min(commits, loads) >= self._least or late > _PATIENCE
        orphaned = self._parent not in (os.getpid(), os.getppid())
        return (late >= 0 and enough) or failed > 0 or orphaned

    def committed(self) -> None:
        """Count a commit; a race may lose one, which does not matter."""
        self._shared[0] += 1

    def loaded(self) -> None:
        """Count a load."""
        self._shared[1] += 1

    def fail(self) -> None:
        """Have all processes end."""
        self._shared[2] = 1


def _kill_at_random(
    works: Sequence[Work], directory: Path, progress: _Progress, chance: random.Random
) -> tuple[int, list[str]]:
    """Keep ``works`` running until the end; return the number of kills, and which hung."""
    lives = [0] * len(works)

    def start(index: int) -> int:
        lives[index] += 1
        notebook = partial(Notebook, directory, f"{index}.{lives[index]}")
        return fork(partial(_noted, works[index], notebook, progress))

    pids = [start(index) for index in range(len(works))]
    while not progress.over:
        time.sleep(chance.uniform(0, _LONGEST))
        index = chance.randrange(len(works))
        _kill(pids[index])
        pids[index] = start(index)
    hung = [
        f"process {index}.{lives[index]} still waited for the store {_PATIENCE:g} s after the end"
        for index, pid in enumerate(pids)
        if not _ended(pid)
    ]
    return sum(lives) - len(works), hung


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _ended(pid: int) -> bool:
    """Wait for a process that should end soon; kill it if it does not."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    _kill(pid)
    return False


def _noted(work: Work, opened: Callable[[], Notebook], progress: _Progress) -> None:
    notebook = opened()
    try:
        anyio.run(work, notebook)
    except Exception as error:
        notebook.note("failed", notebook.life, f"{type(error).__name__}: {error}")
        progress.fail()
        raise


async def _write(opening: Opening, writer: int, progress: _Progress, notebook: Notebook) -> None:
    number = 0
    async with opening.open() as store:
        while not progress.over:
            number += 1
            attempt = f"{notebook.life}.{number}"
            transaction = counting(writer, attempt, partial(notebook.note_state, "saw", attempt))
            notebook.note("begin", attempt, writer)
            try:
                committed = await store.transact(transaction)
            except CommitOutcomeUnknownError:
                continue
            except StoreBusyError:
                notebook.note("refused", attempt)
                continue
            notebook.note_state("made", attempt, State.of(committed.snapshot))
            progress.committed()


async def _read(opening: Opening, progress: _Progress, notebook: Notebook) -> None:
    async with opening.open() as store:
        while not progress.over:
            begin = time.monotonic_ns()
            state = State.of(await store.load())
            notebook.note_state("loaded", f"{notebook.life}.{begin}", state)
            progress.loaded()
            await anyio.sleep(_PAUSE)


def _command(opening: Opening, arguments: argparse.Namespace) -> Iterator[HistoriesReport]:
    yield control(opening, arguments.seconds, 0, arguments.seed, 4, 2)


if __name__ == "__main__":
    report_on(_command, seconds=10.0, seed=0)
