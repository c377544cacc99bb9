"""Queries of a process to its terminal, where hosts come, go and are suspended."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from frith.ports import Size

ASK = (
    "stty raw -echo; printf ready; dd bs=1 count=1 of=/dev/null 2>/dev/null; printf '\\033[5n';"
    "dd bs=1 count=1 of=kept 2>/dev/null; stty min 0 time 5; cat >>kept; printf complete"
)
"""Keeps what it is answered, until nothing has come for half a second."""
QUERY = len("ready")
"""The offset of the query."""
ANSWER = b"\x1b[0n"


@pytest.fixture
def kept(tmp_path: Path, tools: Any) -> Any:
    async def kept_by(terminal: Any) -> bytes:
        await tools.see(terminal, b"complete")
        return (tmp_path / "kept").read_bytes()

    return kept_by


async def test_a_query_for_a_viewer_of_a_suspended_host_is_answered_by_another(
    spawner: Any, start_host: Any, kept: Any
) -> None:
    host = start_host(ASK)
    terminal = await spawner.adopt(host.session)
    os.kill(host.process.pid, signal.SIGSTOP)
    try:
        await terminal.write(b"x")
        assert await kept(terminal) == ANSWER
    finally:
        os.kill(host.process.pid, signal.SIGCONT)


async def test_a_query_is_answered_by_the_keeper_if_its_host_leaves_before(
    other: Any, shell: Any, record: Any, tools: Any, kept: Any
) -> None:
    async with other() as host:
        terminal = await shell(ASK, of=host)
        await tools.see(terminal, b"ready")
        terminal._viewers.on_queries = lambda queries: None
        await terminal.write(b"x")
        assert await terminal._claim([QUERY]) == {QUERY: None}
    async with other() as host:
        assert await kept(await host.adopt(record(terminal))) == ANSWER


async def test_an_answer_is_written_once(
    other: Any, shell: Any, record: Any, tools: Any, kept: Any
) -> None:
    async with other() as first, other() as second:
        here = await shell(ASK, of=first)
        await tools.see(here, b"ready")
        there = await second.adopt(record(here))
        for terminal in (here, there):
            terminal._viewers.on_queries = lambda queries: None
        await here.write(b"x")
        assert await here._claim([QUERY]) == {QUERY: None}
        assert await there._claim([QUERY]) == {}
        for terminal in (there, here, here):
            await terminal._answer(QUERY, ANSWER)
        assert await kept(here) == ANSWER


async def test_a_viewer_of_any_host_is_told_by_its_name(
    other: Any, shell: Any, record: Any, tools: Any
) -> None:
    async with other() as first, other() as second:
        here = await shell(ASK, of=first)
        await tools.see(here, b"ready")
        there = await second.adopt(record(here))
        await here.resize("viewer", Size(20, 70))
        await there.resize("viewer", Size(30, 90))
        offsets = [QUERY + 100, QUERY + 200]
        assert await here._claim(offsets) == {}
        assert await there._claim(offsets) == dict.fromkeys(offsets, "viewer")
        await there.leave("viewer")
        assert await here._claim([QUERY + 300]) == {QUERY + 300: "viewer"}
