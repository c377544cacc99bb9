"""Checks whether the commits and loads of several processes fit one order, in linear time.

Each commit stores its name in the state that it makes and records which state it saw. So the order
can be read from the states and need not be searched for, as it must be for a plain register
(Gibbons and Korach, "Testing Shared Memories", 1997). It is then compared with the clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from frith_testing.faults.history.counters import State


@dataclass(frozen=True, slots=True)
class Commit:
    """One attempt to commit. Times are nanoseconds of one clock for all processes."""

    attempt: str
    writer: int
    begin: int
    end: int | None = None
    """``None`` if its process was killed, or the outcome is unknown."""
    saw: State | None = None
    made: State | None = None
    """The acknowledged state; ``None`` with an ``end`` means that it was refused."""

    @property
    def refused(self) -> bool:
        """Whether the store reported that nothing was changed."""
        return self.end is not None and self.made is None

    def __str__(self) -> str:
        return f"commit {self.attempt}"


@dataclass(frozen=True, slots=True)
class Load:
    """One load that returned."""

    reader: str
    begin: int
    end: int
    saw: State

    def __str__(self) -> str:
        return f"a load of {self.reader}"


Operation: TypeAlias = Commit | Load


def violations(start: State, commits: Sequence[Commit], loads: Sequence[Load]) -> list[str]:
    """Return what contradicts one order of all commits, as sentences.

    Revisions have no gaps; each commit saw its predecessor and made one state, once; a refused
    commit made none; no operation saw less than had been acknowledged to any process before it
    began. The last load must begin when everything else has ended, so that it shows lost commits.

    Args:
        start: the state before all of them.
        commits: every attempt.
        loads: every load that returned.
    """
    found: list[str] = []
    states = {start.revision: start}
    for who, state in _observations(commits, loads):
        known = states.setdefault(state.revision, state)
        if known != state:
            found.append(f"revision {state.revision} is both {known} and, in {who}, {state}")
    found += _in_one_chain(start, states, {commit.attempt: commit for commit in commits})
    found += _in_time([*commits, *loads])
    return found


def _observations(
    commits: Sequence[Commit], loads: Sequence[Load]
) -> Iterator[tuple[Operation, State]]:
    for commit in commits:
        for state in (commit.saw, commit.made):
            if state is not None:
                yield commit, state
    for load in loads:
        yield load, load.saw


def _in_one_chain(
    start: State, states: dict[int, State], attempts: dict[str, Commit]
) -> Iterator[str]:
    made: dict[str, int] = {}
    for revision in range(start.revision + 1, max(states) + 1):
        state, before = states.get(revision), states.get(revision - 1)
        if state is None:
            yield f"no process saw revision {revision}, but some saw later ones"
            continue
        commit = attempts.get(state.last)
        if commit is None:
            yield f"no commit made revision {revision}: {state}"
            continue
        first = made.setdefault(commit.attempt, revision)
        if first != revision:
            yield f"{commit} took effect twice, as revision {first} and {revision}"
        if commit.refused:
            yield f"{commit} was refused, and is revision {revision}"
        if before is not None and state != before.after(commit.attempt, commit.writer):
            yield f"an update was lost: {commit} made {state} of {before}"
        if commit.saw is not None and commit.saw.revision != revision - 1:
            yield f"{commit} saw revision {commit.saw.revision}, and is revision {revision}"
    earliest = min(states)
    if earliest < start.revision:
        yield f"revision {earliest} was seen again after {start.revision}"


def _in_time(operations: Sequence[Operation]) -> Iterator[str]:
    """Compare with the clock; operations that end and begin at one moment are concurrent."""
    moments: list[tuple[int, bool, int]] = []
    for index, operation in enumerate(operations):
        moments.append((operation.begin, False, index))
        if operation.end is not None:
            moments.append((operation.end, True, index))
    acknowledged = 0
    for _, ended, index in sorted(moments):
        operation = operations[index]
        if ended:
            told = operation.saw if isinstance(operation, Load) else operation.made
            acknowledged = max(acknowledged, told.revision if told is not None else 0)
        elif operation.saw is not None and operation.saw.revision < acknowledged:
            yield (
                f"{operation} saw revision {operation.saw.revision}, "
                f"though {acknowledged} had been acknowledged before it began"
            )
