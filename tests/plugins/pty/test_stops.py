"""When leaders are checked for having stopped."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any

import anyio
import pytest

from frith_pty import stops as module
from frith_pty.stops import Stops
from waiting import until


class Leader:
    """Counts how often it is looked at."""

    def __init__(self) -> None:
        self.looks = 0
        self.stops = 0

    def was_checked(self, times: int) -> bool:
        return self.looks >= times

    def continue_if_stopped(self) -> bool:
        self.looks += 1
        self.stops -= 1
        return self.stops >= 0


@pytest.fixture
async def stops(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Looks once after each event, and never again while all are silent."""
    monkeypatch.setattr(module, "_PAUSES", (0.0, inf))
    stops = Stops()
    yield stops
    stops.close()


@pytest.fixture
async def leaders(stops: Any) -> Any:
    leaders: list[Leader] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stops.watch, leaders)
        yield leaders
        stops.close()


async def test_a_leader_is_checked_soon_after_activity(stops: Any, leaders: Any) -> None:
    leaders.append(leader := Leader())
    for looks in (1, 2, 3):
        stops.stir()
        await until(partial(leader.was_checked, looks))


async def test_a_leader_that_has_stopped_is_checked_again_soon(stops: Any, leaders: Any) -> None:
    leaders.append(leader := Leader())
    leader.stops = 3
    stops.stir()
    await until(lambda: leader.looks == 4)


async def test_leaders_are_checked_until_closed_when_the_host_is_cancelled(stops: Any) -> None:
    leader = Leader()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stops.watch, [leader])
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            stops.stir()
            await until(lambda: leader.looks)
        stops.close()
