"""What a provider leaves in its process when it is closed: nothing."""

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
"""How many more there may be after so many openings: workers that others use come and go."""
_LOOKS, _MOMENT = 50, 0.01
"""How often to look whether what was closed is gone, and the seconds in between."""


def resources_now() -> dict[str, int]:
    """Return how many threads and open descriptors this process has."""
    return {"threads": threading.active_count(), "descriptors": len(os.listdir("/dev/fd"))}


async def require_nothing_left(opening: Opening, use: Callable[[Any], Awaitable[object]]) -> None:
    """Open, ``use`` and close a provider many times; require that this adds up to nothing."""
    before: dict[str, int] = {}
    for _ in range(OPENINGS):
        async with opening.open() as provider:
            await use(provider)
        before = before or resources_now()  # the first opening may open what all share
    for _ in range(_LOOKS):
        gc.collect()
        more = {what: count - before[what] for what, count in resources_now().items()}
        if max(more.values()) <= MOST:
            return
        await anyio.sleep(_MOMENT)
    raise AssertionError(f"after {OPENINGS} openings there are more than after the first: {more}")
