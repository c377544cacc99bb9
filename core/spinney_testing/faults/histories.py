"""Several writing and reading processes, killed at random, and their history.

Each process notes what it begins, sees and is told in a file of its own, which SIGKILL does not
take away. Afterwards all of it must fit one order of commits: see :mod:`._history`.
``python -m spinney_testing.faults.histories --provider store:json --seconds 600``
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import anyio

from spinney.errors import CommitOutcomeUnknownError, StoreBusyError
from spinney_testing._opening import Opening
from spinney_testing.faults._command import report_on
from spinney_testing.faults._counters import State, beginning, counting
from spinney_testing.faults._fresh import fork, forked, in_fresh_process
from spinney_testing.faults._history import Commit, Load, violations

_PATIENCE = 60.0
"""Seconds that a process may still take when all shall end."""
_PAUSE = 0.002
"""Seconds between two loads of a reader, which would otherwise leave writers no processor."""


@dataclass(frozen=True, slots=True)
class HistoriesReport:
    """What became of a run."""

    seed: int
    seconds: float
    kills: int
    commits: int
    """Acknowledged."""
    in_doubt: int
    """Begun, and killed before they were acknowledged."""
    loads: int
    least: int
    """Acknowledged commits of the writer that had the fewest."""
    most: int
    worst_wait: float
    """Seconds that the slowest acknowledged commit took, kills of others included."""
    violations: tuple[str, ...]


def run(
    opening: Opening,
    *,
    seconds: float,
    seed: int,
    writers: int = 4,
    readers: int = 2,
    kill_every: float = 0.15,
) -> HistoriesReport:
    """Let processes write and read for ``seconds``, killing one every ``kill_every`` on average.

    Args:
        opening: opens the store, on a workspace in which nothing is stored yet.
        seed: of who is killed when; repeats the choice, not what the machine makes of it.
    """
    return in_fresh_process(controlled, opening, seconds, seed, writers, readers, kill_every)


def controlled(
    opening: Opening, seconds: float, seed: int, writers: int, readers: int, kill_every: float
) -> HistoriesReport:
    """As :func:`run`, in this process, which must have one thread."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be unpredictable
    start = forked(partial(anyio.run, _begin, opening, writers))
    until = time.monotonic() + seconds
    works: list[Work] = [partial(_write, opening, writer, until) for writer in range(writers)]
    works += [partial(_read, opening, until)] * readers
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        kills, hung = _kill_at_random(works, directory, until, chance, kill_every)
        notes = chain.from_iterable(map(_notes, sorted(directory.iterdir())))
        commits, loads, failures = _operations(notes)
    if not hung and not failures:
        loads.append(forked(partial(anyio.run, _end, opening)))
    acknowledged = [commit for commit in commits if commit.made is not None]
    counts = [sum(c.writer == writer for c in acknowledged) for writer in range(writers)]
    waits = [commit.end - commit.begin for commit in acknowledged if commit.end is not None]
    return HistoriesReport(
        seed=seed,
        seconds=seconds,
        kills=kills,
        commits=len(acknowledged),
        in_doubt=sum(commit.end is None for commit in commits),
        loads=len(loads),
        least=min(counts),
        most=max(counts),
        worst_wait=max(waits, default=0) / 1e9,
        violations=(*failures, *violations(start, commits, loads)),
    )


async def _begin(opening: Opening, writers: int) -> State:
    async with opening.open() as store:
        return State.of((await store.transact(lambda _: beginning(writers))).snapshot)


async def _end(opening: Opening) -> Load:
    begin = time.monotonic_ns()
    async with opening.open() as store:
        state = State.of(await store.load())
    return Load("the end", begin, time.monotonic_ns(), state)


def _kill_at_random(
    works: Sequence[Work], directory: Path, until: float, chance: random.Random, every: float
) -> tuple[int, list[str]]:
    """Keep ``works`` running until then; return how often one was killed, and who hung."""
    lives = [0] * len(works)

    def start(index: int) -> int:
        lives[index] += 1
        return fork(partial(_noted, works[index], f"{index}.{lives[index]}", directory))

    pids = [start(index) for index in range(len(works))]
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, chance.uniform(0, 2 * every)))
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
    """Wait for a process that should be about to end; if it does not, kill it."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    _kill(pid)
    return False


class _Notebook:
    """A file of lines; each is in the kernel's hands when it has been written."""

    def __init__(self, life: str, directory: Path) -> None:
        self.life = life
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(directory / life, flags, 0o600)

    def note(self, what: str, attempt: str, *values: object) -> None:
        line = json.dumps([what, attempt, *values, time.monotonic_ns()])
        os.write(self._fd, line.encode() + b"\n")

    def note_state(self, what: str, attempt: str, state: State) -> None:
        self.note(what, attempt, *astuple(state))


Work: TypeAlias = Callable[[_Notebook], Awaitable[None]]


def _noted(work: Work, life: str, directory: Path) -> None:
    notebook = _Notebook(life, directory)
    try:
        anyio.run(work, notebook)
    except Exception as error:
        notebook.note("failed", life, f"{type(error).__name__}: {error}")
        raise


async def _write(opening: Opening, writer: int, until: float, notebook: _Notebook) -> None:
    number = 0
    async with opening.open() as store:
        while time.monotonic() < until:
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


async def _read(opening: Opening, until: float, notebook: _Notebook) -> None:
    async with opening.open() as store:
        while time.monotonic() < until:
            begin = time.monotonic_ns()
            state = State.of(await store.load())
            notebook.note_state("loaded", f"{notebook.life}.{begin}", state)
            await anyio.sleep(_PAUSE)


def _notes(path: Path) -> Iterator[list[Any]]:
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):  # the kill may have come amid the last one
            yield json.loads(line)


def _operations(notes: Iterable[list[Any]]) -> tuple[list[Commit], list[Load], list[str]]:
    commits: dict[str, dict[str, Any]] = {}
    loads: list[Load] = []
    failures: list[str] = []
    for what, attempt, *values, moment in notes:
        match what:
            case "begin":
                commits[attempt] = {"attempt": attempt, "writer": values[0], "begin": moment}
            case "saw":
                commits[attempt]["saw"] = _state(values)
            case "made":
                commits[attempt] |= {"made": _state(values), "end": moment}
            case "refused":
                commits[attempt]["end"] = moment
            case "loaded":
                reader, begin = attempt.rsplit(".", 1)
                loads.append(Load(reader, int(begin), moment, _state(values)))
            case _:
                failures.append(f"process {attempt} failed: {values[0]}")
    return [Commit(**fields) for fields in commits.values()], loads, failures


def _state(values: list[Any]) -> State:
    revision, count, last, own = values
    return State(revision, count, last, tuple(own))


def _command(opening: Opening, arguments: argparse.Namespace) -> Iterator[HistoriesReport]:
    yield controlled(opening, arguments.seconds, arguments.seed, 4, 2, 0.15)


if __name__ == "__main__":
    report_on(_command, seconds=10.0, seed=0)
