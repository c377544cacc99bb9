"""Power cuts on real file systems: everything acknowledged must be there afterwards.

Writers commit on a file system in an image that is mounted through a loop device. At a random
moment the image file is cloned, and the clone mounted, which replays its journal as the first
mount after a power cut does.

Why a clone stands for a power cut: the image file holds exactly what the file system has sent to
its device so far. What has not been sent, the dirty pages of its page cache and its transactions
in memory, is in the kernel alone and not in the clone. FICLONE keeps writers of the file out, so
that the clone is the device at one moment. What this does not show is a device that loses or
reorders, in its own volatile cache, what it was sent and not yet told to flush; the enumeration
of crash states does.

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
"""Seconds that writers work between two cuts, or from a commit to the next cut, at most."""
_PATIENCE = 2.0
"""Seconds in which a commit is waited for, so that a slow machine has some, too."""


@dataclass(frozen=True, slots=True)
class PowerCutReport:
    """What became of the cuts on one file system."""

    file_system: FileSystem
    seed: int
    cuts: int
    amid: int
    """Cuts after which a commit is not there that was under way, and not acknowledged."""
    commits: int
    """Acknowledged in all."""
    seconds: float
    violations: tuple[str, ...]


@cache
def unavailable(file_system: FileSystem) -> str | None:
    """Return why power cuts on ``file_system`` cannot be tried on this machine, if they cannot."""
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
        cuts: each at a random moment of the writers' work, which pauses while it is judged.
        seed: of the moments; repeats the choice, not what the machine makes of it.
        writers: processes that commit at once.
    """
    return in_fresh_process(cut_power, opening, file_system, cuts, seed, writers)


def cut_power(
    opening: Opening, file_system: FileSystem, cuts: int, seed: int, writers: int
) -> PowerCutReport:
    """As :func:`run`, in this process, which must have one thread and is not fit for more."""
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
        # Mounted anew, so that what the laboratory itself has made is durable.
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
                    found = _judged(start, found, acknowledged, begun)
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
    """How many commits each writer has begun and been told of, in memory that all share."""

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
        """Wait until one more commit is acknowledged, or for long."""
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
    """Return what is there after a cut, or what a store cannot do that is opened on it."""
    try:
        async with opening.open() as store:
            found = State.of(await store.load())
            await store.transact(counting(0, "after the cut", lambda _: None))
        async with opening.open() as store:
            again = State.of(await store.load())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return found if again == found.after("after the cut", 0) else f"not written again: {again}"


def _judged(
    start: State, found: State, acknowledged: tuple[int, ...], begun: tuple[int, ...]
) -> str:
    """Return what is wrong with ``found``; empty if nothing is."""
    for writer, count in enumerate(found.own):
        if count < acknowledged[writer]:
            return f"commit {writer}.{acknowledged[writer]} was acknowledged, {count} are there"
        if count > begun[writer]:
            return f"commit {writer}.{count} is there, and had not begun"
    whole = found.count == sum(found.own) == found.revision - start.revision
    return "" if whole else f"torn: {found}"


@contextmanager
def _stopped(works: Sequence[Callable[[], object]]) -> Iterator[list[int]]:
    """Start processes that do ``works`` while they are told to go on; kill them in the end."""
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
    """Tell whether all writers still run; note it if one does not."""
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
