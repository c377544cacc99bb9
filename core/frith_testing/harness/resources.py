"""A closed provider leaves no thread and no descriptor in its process."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from frith_testing.harness.opening import Opening

OPENINGS = 10
MOST = 4
"""How many more there may be after so many openings, because shared worker threads come and go."""
_LOOKS, _MOMENT = 50, 0.01
"""How often to look whether everything is closed, and the seconds between two looks."""


def resources_now() -> dict[str, int]:
    """Return how many threads and open descriptors this process has."""
    return {"threads": threading.active_count(), "descriptors": len(os.listdir("/dev/fd"))}


async def require_nothing_left(opening: Opening, use: Callable[[Any], Awaitable[object]]) -> None:
    """Open, ``use`` and close a provider many times; fail if threads or descriptors add up."""
    before: dict[str, int] = {}
    for _ in range(OPENINGS):
        async with opening.open() as provider:
            await use(provider)
        before = before or resources_now()  # the first opening may open something shared
    for _ in range(_LOOKS):
        gc.collect()
        more = {what: count - before[what] for what, count in resources_now().items()}
        if max(more.values()) <= MOST:
            return
        await anyio.sleep(_MOMENT)
    raise AssertionError(f"{OPENINGS} openings leave more behind than the first one: {more}")
