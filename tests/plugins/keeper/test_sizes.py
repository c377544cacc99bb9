"""The size of a terminal that viewers of two hosts see."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from frith.errors import TerminalClosedError
from frith.ports import Resize, Size

ASK = "stty -echo; echo ready; while read -r _; do stty size; done"
WIDE, HIGH = Size(20, 100), Size(40, 60)
BOTH = pytest.mark.parametrize(("policy", "both"), [("latest", HIGH), ("smallest", Size(20, 60))])


async def size_of(terminal: Any, tools: Any) -> Any:
    """Ask the process; what it says comes after all that is there."""
    async with terminal.attach() as view:
        seen = tools.transcript(view)
        start = len(view.snapshot)
        await terminal.write(b"\n")
        with anyio.fail_after(tools.patience):
            while b"\n" not in seen.seen[start:]:
                seen.seen += (await anext(aiter(view))).data
        rows, columns = map(int, seen.seen[start:].split())
        return Size(rows, columns)


@BOTH
async def test_the_size_follows_the_policy_over_the_windows_of_two_hosts(
    other: Any, shell: Any, record: Any, tools: Any, policy: Any, both: Any
) -> None:
    async with other(size=policy) as first, other() as second:
        here = await shell(ASK, of=first)
        await tools.see(here, b"ready")
        there = await second.adopt(record(here))
        await here.resize("viewer", WIDE)
        assert await size_of(here, tools) == WIDE
        await there.resize("viewer", HIGH)
        assert await size_of(there, tools) == both
        async with here.attach() as view, there.attach() as same:
            assert view.resizes == same.resizes
            assert view.resizes[-1].size == both
        await there.leave("viewer")
        assert await size_of(there, tools) == WIDE


@BOTH
async def test_the_windows_of_a_host_that_is_gone_do_not_count(
    other: Any, shell: Any, record: Any, tools: Any, policy: Any, both: Any
) -> None:
    async with other(size=policy) as first:
        here = await shell(ASK, of=first)
        await tools.see(here, b"ready")
        await here.resize("viewer", WIDE)
        async with other() as second:
            there = await second.adopt(record(here))
            await there.resize("viewer", HIGH)
            assert await size_of(there, tools) == both
        await here.departed()
        assert await size_of(here, tools) == WIDE


async def test_the_size_stays_when_the_last_viewer_leaves(
    other: Any, shell: Any, record: Any, tools: Any
) -> None:
    async with other() as first:
        here = await shell(ASK, of=first)
        await tools.see(here, b"ready")
        await here.resize("viewer", HIGH)
        recorded = record(here)
    async with other() as second:
        there = await second.adopt(recorded)
        assert await size_of(there, tools) == HIGH
        await there.leave("viewer")
        assert await size_of(there, tools) == HIGH


async def test_a_host_that_comes_later_knows_what_was_written_for_which_size(
    other: Any, shell: Any, record: Any, tools: Any
) -> None:
    async with other() as first:
        here = await shell(ASK, of=first, size=WIDE)
        seen = len(await tools.see(here, b"ready\r\n"))
        await here.resize("viewer", HIGH)
        recorded = record(here)
    async with other() as second, (await second.adopt(recorded)).attach() as view:
        assert view.resizes == (Resize(0, WIDE), Resize(seen, HIGH))


async def test_resizing_an_ended_process_is_refused(shell: Any, tools: Any) -> None:
    terminal = await shell("exit 0")
    await tools.everything(terminal)
    with pytest.raises(TerminalClosedError):
        await terminal.resize("viewer", WIDE)
    await terminal.leave("viewer")
