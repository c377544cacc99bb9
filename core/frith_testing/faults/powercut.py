"""Power cuts on real file systems: everything that was acknowledged must be there afterwards.

Writers commit on a file system in an image that is mounted through a loop device. At a random
moment the image file is cloned, and the clone is mounted, which replays its journal like the first
mount after a power cut.

A clone is like the disk after a power cut because the image file holds exactly the data that the
file system has sent to its device. Dirty pages and transactions in memory are not in it. FICLONE
locks writers out, so the clone is the device at one moment. It does not show a device whose
volatile cache loses or reorders data that was sent but not flushed; the crash states do.

``python -m frith_testing.faults.powercut --provider store:json --cuts 1000``
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial

import anyio

from frith.errors import StoreBusyError
from frith_testing.faults.command import report_on
from frith_testing.faults.history.counters import State, beginning, counting
from frith_testing.faults.machine import images
from frith_testing.faults.machine.fresh_process import (
    fork,
    forked,
    import_machinery,
    in_fresh_process,
)
from frith_testing.faults.machine.images import FileSystem
from frith_testing.harness.opening import Opening

_LONGEST = 0.03
"""Seconds between two cuts, or between a commit and the next cut, at most."""
_PATIENCE = 2.0
"""Seconds to wait for a commit, so that a slow machine has some, too."""


@dataclass(frozen=True, slots=True)
class PowerCutReport:
    """The result of the cuts on one file system."""

    file_system: FileSystem
    seed: int
    cuts: int
    amid: int
    """Cuts that lost a commit which had begun and was not acknowledged."""
    commits: int
    """Acknowledged in all."""
    seconds: float
    violations: tuple[str, ...]


@cache
def unavailable(file_system: FileSystem) -> str | None:
    """Return why this machine cannot cut power on ``file_system``; ``None`` if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "power cuts need Linux and root, to mount file systems"
    return in_fresh_process(_refusal, file_system)


def run(
    opening: Opening, file_system: FileSystem, *, cuts: int, seed: int, writers: int = 2
) -> PowerCutReport:
    """Let processes commit on a copy of the workspace, and cut the power ``cuts`` times.

    Args:
        opening: opens the store, on a workspace in which nothing is stored yet.
        file_system: one that is available.
        cuts: number of cuts, each at a random moment; the writers pause during the check.
        seed: of the random moments.
        writers: processes that commit at once.
    """
    return in_fresh_process(cut_power, opening, file_system, cuts, seed, writers)


def cut_power(
    opening: Opening, file_system: FileSystem, cuts: int, seed: int, writers: int
) -> PowerCutReport:
    """As :func:`run`, in this process, which must have one thread and keeps its private mounts."""
    began = time.monotonic()
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be unpredictable
    promises = _Promises(writers)
    anyio.run(import_machinery, opening)
    cut = amid = 0
    violations: list[str] = []
    with images.image(file_system) as image:
        on, off, clone = (image.with_name(name) for name in ("on", "off", "clone"))
        here, there = opening.at(on / "workspace"), opening.at(off / "workspace")
        with images.mounted(file_system, image, on):
            shutil.copytree(opening.workspace, here.workspace, symlinks=True)
            start = forked(partial(anyio.run, _begin, here, writers))
        # Mounted again, so that the files of the laboratory itself are durable.
        works = [partial(anyio.run, _write, here, promises, writer) for writer in range(writers)]
        with images.mounted(file_system, image, on), _stopped(works) as pids:
            while cut < cuts and _alive(pids, violations):
                cut += 1
                with _going_on(pids):
                    if chance.random() < 0.5:
                        promises.wait_for_another()
                    time.sleep(chance.uniform(0, _LONGEST))
                    acknowledged = promises.acknowledged
                    images.clone(image, clone)
                    begun = promises.begun
                with images.mounted(file_system, clone, off, clone=True):
                    found = forked(partial(anyio.run, _found, there, start))
                clone.unlink()
                if isinstance(found, State):
                    amid += found.own != begun
                    found = _violation(start, found, acknowledged, begun)
                if found:
                    violations.append(f"cut {cut}: {found}")
    seconds, commits = time.monotonic() - began, sum(promises.acknowledged)
    return PowerCutReport(file_system, seed, cut, amid, commits, seconds, tuple(violations))


def _refusal(file_system: FileSystem) -> str | None:
    try:
        with images.image(file_system) as image:
            clone, at = image.with_name("clone"), image.with_name("on")
            with images.mounted(file_system, image, at):
                images.clone(image, clone)
                with images.mounted(file_system, clone, image.with_name("off"), clone=True):
                    return None
    except OSError as error:
        return f"a clone of {file_system} cannot be mounted here: {error}"


class _Promises:
    """How many commits each writer has begun and got acknowledged, in shared memory."""

    def __init__(self, writers: int) -> None:
        self._writers = writers
        self._numbers = memoryview(mmap.mmap(-1, 16 * writers)).cast("q")

    @property
    def begun(self) -> tuple[int, ...]:
        return tuple(self._numbers[: self._writers])

    @property
    def acknowledged(self) -> tuple[int, ...]:
        return tuple(self._numbers[self._writers :])

    def begin(self, writer: int, number: int) -> None:
        self._numbers[writer] = number

    def acknowledge(self, writer: int, number: int) -> None:
        self._numbers[self._writers + writer] = number

    def wait_for_another(self) -> None:
        """Wait until one more commit is acknowledged, within a time limit."""
        before, deadline = sum(self.acknowledged), time.monotonic() + _PATIENCE
        while sum(self.acknowledged) == before and time.monotonic() < deadline:
            time.sleep(0.001)


async def _begin(opening: Opening, writers: int) -> State:
    async with opening.open() as store:
        return State.of((await store.transact(lambda _: beginning(writers))).snapshot)


async def _write(opening: Opening, promises: _Promises, writer: int) -> None:
    number = 0
    async with opening.open() as store:
        while True:
            number += 1
            promises.begin(writer, number)
            transaction = counting(writer, f"{writer}.{number}", lambda _: None)
            try:
                await store.transact(transaction)
            except StoreBusyError:
                number -= 1
            else:
                promises.acknowledge(writer, number)


async def _found(opening: Opening, start: State) -> State | str:
    """Return the state after a cut, or what a store that is opened on it cannot do."""
    try:
        async with opening.open() as store:
            found = State.of(await store.load())
            await store.transact(counting(0, "after the cut", lambda _: None))
        async with opening.open() as store:
            again = State.of(await store.load())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return found if again == found.after("after the cut", 0) else f"not written again: {again}"


def _violation(
    start: State, found: State, acknowledged: tuple[int, ...], begun: tuple[int, ...]
) -> str:
    """Return what is wrong with ``found``; empty if nothing."""
    for writer, count in enumerate(found.own):
        if count < acknowledged[writer]:
            return f"commit {writer}.{acknowledged[writer]} was acknowledged, {count} are there"
        if count > begun[writer]:
            return f"commit {writer}.{count} is there, and had not begun"
    whole = found.count == sum(found.own) == found.revision - start.revision
    return "" if whole else f"torn: {found}"


@contextmanager
def _stopped(works: Sequence[Callable[[], object]]) -> Iterator[list[int]]:
    """Start stopped processes that do ``works``; kill them at the end."""
    pids = [fork(work) for work in works]
    try:
        _signal(pids, signal.SIGSTOP)
        yield pids
    finally:
        _signal(pids, signal.SIGKILL)
        for pid in pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


@contextmanager
def _going_on(pids: Sequence[int]) -> Iterator[None]:
    _signal(pids, signal.SIGCONT)
    yield
    _signal(pids, signal.SIGSTOP)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _alive(pids: Sequence[int], violations: list[str]) -> bool:
    """Return whether all writers still run; record a violation if not."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    failed = [pid for pid in pids if os.waitid(os.P_PID, pid, flags)]
    if failed:
        violations.append("a writer failed; its traceback is on stderr")
    return not failed


def _command(opening: Opening, arguments: argparse.Namespace) -> Iterator[PowerCutReport]:
    for file_system in FileSystem if arguments.on == "all" else (FileSystem(arguments.on),):
        yield forked(partial(cut_power, opening, file_system, arguments.cuts, arguments.seed, 2))


if __name__ == "__main__":
    report_on(_command, on="all", cuts=1000, seed=0)
