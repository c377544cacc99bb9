"""Queries of a process to its terminal, where hosts come, go and are suspended."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from frith.ports import Size
from frith_keeper.keeper import claims as claims_module

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


class _Host:
    is_gone = False


def a_host() -> Any:
    return _Host()


def test_a_query_that_is_a_second_old_is_not_given_to_any_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(claims_module, "monotonic", lambda: now)
    claims, host = claims_module.Claims(), a_host()
    for end in (10, 20, 30):
        claims.came(end)
        now += 0.5
    assert claims.recent == 10
    assert claims.claim(host, [5, 15, 25], None) == [(15, None), (25, None)]
    assert claims.answers(host, 25)
    now += 10
    assert claims.recent == 30
    assert claims.claim(host, [15, 25, 35], None) == [(35, None)]
    assert not claims.answers(host, 15)


def test_a_query_is_given_to_a_second_host_only_if_the_first_does_not_ask_or_is_gone() -> None:
    claims, first, second = claims_module.Claims(), a_host(), a_host()
    claims.came(100)
    owner = (first, "viewer")
    assert claims.claim(second, [1, 2], owner) == []
    assert claims.claim(first, [1], owner) == [(1, "viewer")]
    assert claims.claim(second, [1, 2], owner) == [(2, None)]
    assert claims.claim(first, [2], owner) == []
    assert claims.claim(first, [3, 4], None) == [(3, None), (4, None)]
    assert claims.answers(first, 3)
    first.is_gone = True
    assert claims.claim(None, [1, 2, 3, 4], None) == [(4, None)]


def test_of_a_flood_of_queries_a_bounded_number_is_kept() -> None:
    claims, host = claims_module.Claims(), a_host()
    claims.came(1 << 20)
    assert len(claims.claim(host, range(5000), None)) == 1000
