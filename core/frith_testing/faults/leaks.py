"""A store leaves nothing behind after many commits and many failures.

``python -m frith_testing.faults.leaks --provider store:json --commits 10000 --faults 1000``
"""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from frith.model import Changes, Session, Snapshot
from frith.ports import SessionStore, Transaction
from frith_testing.faults.command import report_on
from frith_testing.faults.machine.fresh_process import in_fresh_process
from frith_testing.faults.machine.rlimits import descriptors_left, largest_file
from frith_testing.harness.opening import Opening
from frith_testing.harness.samples import a_session

_WARMING = 20
"""Commits and faults after which a store has opened everything that it keeps open."""
_LOOKS, _MOMENT = 500, 0.01
"""How often to look whether a store has finished cleaning up, and seconds between two looks."""
_POOL = 8
"""Threads by which a thread pool may grow, which depends on timing."""


@dataclass(frozen=True, slots=True)
class LeaksReport:
    """The result of a run."""

    commits: int
    faults: int
    violations: tuple[str, ...]


def run(opening: Opening, *, commits: int, faults: int) -> LeaksReport:
    """Commit and fail so many times; compare descriptors, threads and files before and after.

    The faults, in turn: a transaction raises, a transaction is cancelled, a file cannot grow, no
    descriptor is left.
    """
    return in_fresh_process(compare, opening, commits, faults)


def compare(opening: Opening, commits: int, faults: int) -> LeaksReport:
    """As :func:`run`, in this process, which must do nothing else."""
    return LeaksReport(commits, faults, anyio.run(_left, opening, commits, faults))


@dataclass(frozen=True, slots=True)
class _Holdings:
    """Descriptors and threads of this process, and the files of the workspace."""

    descriptors: Mapping[int, str]
    threads: int
    files: frozenset[str]

    @classmethod
    def now(cls, workspace: Path) -> _Holdings:
        descriptors = {}
        for name in os.listdir("/dev/fd"):
            with suppress(OSError):  # the descriptor of the listing itself, which is closed
                descriptors[int(name)] = os.readlink(f"/dev/fd/{name}")
        files = frozenset(str(path.relative_to(workspace)) for path in workspace.rglob("*"))
        return cls(descriptors, threading.active_count(), files)

    def beyond(self, before: _Holdings, when: str) -> Iterator[str]:
        """Yield each kind of which there is more than before."""
        if len(self.descriptors) > len(before.descriptors):
            more = {fd: at for fd, at in self.descriptors.items() if fd not in before.descriptors}
            yield f"{when} {len(more)} more descriptors are open: {more}"
        if self.threads > before.threads + _POOL:
            yield f"{when} there are {self.threads} threads, before {before.threads}"
        if files := self.files - before.files:
            yield f"{when} files are left: {', '.join(sorted(files))}"


async def _left(opening: Opening, commits: int, faults: int) -> tuple[str, ...]:
    session, now = a_session(metadata={"count": 0}), partial(_Holdings.now, opening.workspace)
    async with opening.open() as store:
        await _work(store, session, _WARMING, _WARMING)
    closed = now()
    async with opening.open() as store:
        await _work(store, session, _WARMING, _WARMING)
        opened = now()
        await _work(store, session, commits, 0)
        after_commits = await _at_rest(now, opened)
        await _work(store, session, 0, faults)
        after_faults = await _at_rest(now, after_commits)
    return (
        *after_commits.beyond(opened, f"after {commits} commits"),
        *after_faults.beyond(after_commits, f"after {faults} faults"),
        *now().beyond(closed, "after closing"),
    )


async def _at_rest(now: Callable[[], _Holdings], before: _Holdings) -> _Holdings:
    """Look until there is no more than before, because a store may clean up after it returns."""
    held = now()
    for _ in range(_LOOKS):
        if not any(held.beyond(before, "")):
            break
        await anyio.sleep(_MOMENT)
        held = now()
    return held


async def _work(store: SessionStore, session: Session, commits: int, faults: int) -> None:
    for count in range(commits):
        await store.transact(_putting(session.evolve(metadata={"count": count})))
    for number in range(faults):
        # How it fails does not matter here, only what it leaves behind.
        with suppress(Exception), anyio.CancelScope() as scope:
            await _fail(store, session, number % 4, scope)


async def _fail(store: SessionStore, session: Session, kind: int, scope: anyio.CancelScope) -> None:
    limits: list[Callable[[], AbstractContextManager[None]]] = [
        nullcontext,
        nullcontext,
        partial(largest_file, 0),
        partial(descriptors_left, 0),
    ]
    if kind == 1:
        scope.cancel()
    with limits[kind]():
        await store.transact(_refusing if kind == 0 else _putting(session))


def _putting(session: Session) -> Transaction:
    return lambda _: Changes(put=(session,))


def _refusing(_: Snapshot) -> Changes:
    raise LookupError


def _command(opening: Opening, arguments: argparse.Namespace) -> Iterator[LeaksReport]:
    yield compare(opening, arguments.commits, arguments.faults)


if __name__ == "__main__":
    report_on(_command, commits=10_000, faults=1_000)
