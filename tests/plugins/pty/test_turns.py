"""The time that each terminal may read before others have their turn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from frith_os.pty.output import Output
from frith_pty import turns as module
from frith_terminals.readiness import Readiness

LONG = 60.0


@pytest.fixture
async def turns(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Counts from one turn to the next; its clock stands still."""
    monkeypatch.setattr(module, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(module, "_SPAN", -1.0)
    monkeypatch.setattr(module, "_SHARE", LONG)
    async with anyio.create_task_group() as tasks:
        readiness = Readiness(tasks)
        yield module.Turns(tasks, readiness)
        readiness.close()


def share(turns: module.Turns, busy: int) -> float:
    """What a terminal may read for after ``busy`` of them have had a turn."""
    turns._busy = {str(number) for number in range(busy)}
    return turns.begin("0")


async def test_a_single_busy_terminal_has_the_whole_share(turns: Any) -> None:
    assert share(turns, 1) == LONG


async def test_a_few_busy_terminals_divide_the_share(turns: Any) -> None:
    assert share(turns, 3) == LONG / 3


async def test_the_terminals_of_a_crowd_have_short_turns(turns: Any) -> None:
    assert share(turns, 5) == share(turns, 20) == module._SHORT


@pytest.mark.parametrize(("busy", "crowded"), [(4, False), (5, True)])
async def test_more_than_four_busy_terminals_are_a_crowd(
    turns: Any, busy: Any, crowded: Any
) -> None:
    share(turns, busy)
    assert turns.is_crowded is crowded


async def test_a_crowd_ends_with_its_output(turns: Any) -> None:
    share(turns, 20)
    turns.begin("0")
    turns.begin("0")
    assert not turns.is_crowded


async def test_a_crowd_has_its_turns_one_after_the_other_with_time_between(
    turns: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = []

    async def pause(seconds: float) -> None:
        happened.append(seconds)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(module, "sleep", pause)
    for name in ("first", "second", "third"):
        turns.queue(lambda name=name: happened.append(name))
    await anyio.wait_all_tasks_blocked()
    gap = module._GAP
    assert happened == [gap, "first", gap, "second", gap, "third"]


async def test_a_terminal_without_a_recent_turn_is_not_busy(turns: Any) -> None:
    share(turns, 20)
    turns.begin("0")
    assert turns.begin("0") == LONG


@pytest.mark.parametrize(("until", "read"), [(0.0, 65_536), (float("inf"), 4 * 65_536)])
async def test_a_turn_that_is_over_ends_the_reading(tmp_path: Path, until: Any, read: Any) -> None:
    (tmp_path / "much").write_bytes(b"x" * 4 * 65_536)
    with (tmp_path / "much").open("rb") as file:
        output = Output(file.fileno(), os.devnull, 1 << 20, (24, 80), is_shared=False)
        output.read(1 << 30, lambda: until)
    assert output.ring.end == read
