"""The log of a process that may be killed: begun commits, loaded states, reported results.

One system call writes a whole line at once, so SIGKILL loses no earlier line.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

from frith_testing.faults.history.counters import State
from frith_testing.faults.history.order import Commit, Load


class Notebook:
    """The notes of one process."""

    def __init__(self, directory: Path, life: str) -> None:
        self.life = life
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(directory / life, flags, 0o600)

    def note(self, what: str, attempt: str, *values: object) -> None:
        """Note the event ``what`` of ``attempt``, with the time."""
        line = json.dumps([what, attempt, *values, time.monotonic_ns()])
        os.write(self._fd, line.encode() + b"\n")

    def note_state(self, what: str, attempt: str, state: State) -> None:
        """Note the state that an attempt saw or made, with the time."""
        self.note(what, attempt, *astuple(state))


def read_notebooks(directory: Path) -> tuple[list[Commit], list[Load], list[str]]:
    """Return all commits, all loads, and the failures of processes."""
    commits: dict[str, dict[str, Any]] = {}
    loads: list[Load] = []
    failures: list[str] = []
    for what, attempt, *values, moment in _notes(directory):
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


def _notes(directory: Path) -> Iterator[list[Any]]:
    for path in directory.iterdir():
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):  # a kill may cut the last line
                yield json.loads(line)


def _state(values: list[Any]) -> State:
    revision, count, last, own = values
    return State(revision, count, last, tuple(own))
