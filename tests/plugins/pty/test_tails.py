"""Nothing is lost of what many children wrote at their end, however they end.

``FRITH_CHILDREN=10000 pytest tests/plugins/pty/test_tails.py`` is the long version.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from frith.model import ExitStatus
from frith.ports import SpawnRequest

CHILDREN = int(os.environ.get("FRITH_CHILDREN", "60"))
SIZES = (1, 100, 3000, 16_384, 60_000, 1024 * 1024)
ENDS = (
    ("exit 7", ExitStatus(code=7)),
    ("kill -KILL $$", ExitStatus(signal=signal.SIGKILL)),
    ("sleep 100 & exit 8", ExitStatus(code=8)),
)
"""By itself, by a signal, with a grandchild that holds the terminal."""


def threads() -> set[str]:
    """All but the pool that anyio keeps for a while."""
    return {t.name for t in threading.enumerate() if not t.name.startswith(("AnyIO", "Trio"))}


@pytest.mark.requirement("R7.4")
@pytest.mark.requirement("R7.5")
@pytest.mark.timeout(max(120, CHILDREN))
async def test_every_tail_arrives_whole_with_the_right_exit(
    opened: Any, request_for: Callable[..., SpawnRequest]
) -> None:
    limiter = anyio.CapacityLimiter(8)
    wrong: list[Any] = []

    async def run(number: int) -> None:
        size = SIZES[number % len(SIZES)]
        end, expected = ENDS[number // len(SIZES) % len(ENDS)]
        script = f"stty -opost; head -c {size} /dev/zero; {end}"
        async with limiter:
            terminal = await spawner.spawn(request_for("sh", "-c", script))
            status = await terminal.exited()
            await terminal.drained()
            async with terminal.attach() as view:
                if (len(view.snapshot), status) != (size, expected):
                    wrong.append((size, end, len(view.snapshot), status))
            if "&" in end:
                await terminal.terminate(0)

    descriptors, running = set(os.listdir("/proc/self/fd")), threads()
    async with opened(scrollback=2 * 1024 * 1024) as spawner, anyio.create_task_group() as children:
        for number in range(CHILDREN):
            children.start_soon(run, number)
    assert wrong == []
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    assert set(os.listdir("/proc/self/fd")) == descriptors
    assert threads() == running
