"""Input to the terminal of a keeper."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from frith.errors import LineTooLongError, TerminalBusyError, TerminalClosedError
from frith_keeper.link import KeeperError

RAW = "stty raw -echo; echo ready; "
LIMIT = 4095


async def test_a_line_longer_than_a_terminal_keeps_is_refused_whole(shell: Any, tools: Any) -> None:
    terminal = await shell("stty -echo; echo ready; while read -r line; do echo ${#line}.; done")
    await tools.see(terminal, b"ready")
    with pytest.raises(LineTooLongError) as refused:
        await terminal.write(b"short\n" + b"x" * (LIMIT + 1) + b"\n")
    assert (refused.value.length, refused.value.limit) == (LIMIT + 1, LIMIT)
    await terminal.write(b"x" * LIMIT + b"\n")
    assert b"short" not in await tools.see(terminal, b"%d." % LIMIT)
    assert b"5." not in (await tools.see(terminal, b"%d." % LIMIT)).splitlines()


async def test_a_line_that_two_hosts_make_too_long_is_refused(
    shell: Any, other: Any, record: Any, tools: Any
) -> None:
    terminal = await shell("stty -echo; echo ready; read -r line; echo ${#line}.")
    await tools.see(terminal, b"ready")
    await terminal.write(b"x" * 4000)
    async with other() as host:
        there = await host.adopt(record(terminal))
        with pytest.raises(LineTooLongError):
            await there.write(b"y" * 96)
        await there.write(b"y" * 95 + b"\n")
    await tools.see(terminal, b"4095.")


async def test_a_write_to_a_process_that_does_not_read_ends_after_the_timeout(
    shell: Any, other: Any, tools: Any
) -> None:
    async with other(write_timeout=0.1) as host:
        terminal = await shell(RAW + "sleep 100", of=host)
        await tools.see(terminal, b"ready")
        with anyio.fail_after(tools.patience):
            for letter in (b"x", b"y"):
                with pytest.raises(TerminalBusyError) as refused:
                    await terminal.write(letter * 1_000_000)
                assert refused.value.total == 1_000_000
        assert await terminal.foreground() is not None, "the keeper serves on meanwhile"


async def test_waiting_writers_learn_that_the_process_has_ended(shell: Any, tools: Any) -> None:
    terminal = await shell(RAW + "sleep 100")
    await tools.see(terminal, b"ready")
    refused = []

    async def write() -> None:
        with pytest.raises(TerminalClosedError):
            await terminal.write(b"x" * 1_000_000)
        refused.append(True)

    with anyio.fail_after(tools.patience):
        async with anyio.create_task_group() as writers:
            for _ in range(3):
                writers.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            await terminal.terminate(tools.patience)
    assert len(refused) == 3


async def test_waiting_writers_learn_that_the_provider_is_closed(
    shell: Any, other: Any, tools: Any
) -> None:
    refused = []

    async def write(terminal: Any) -> None:
        with pytest.raises((KeeperError, TerminalClosedError)):
            await terminal.write(b"x" * 3_000_000)
        refused.append(True)

    with anyio.fail_after(tools.patience):
        async with (
            anyio.create_task_group() as writers,
            other(answer_timeout=10 * tools.patience) as host,
        ):
            terminal = await shell(RAW + "sleep 100", of=host)
            await tools.see(terminal, b"ready")
            for _ in range(3):
                writers.start_soon(write, terminal)
            await anyio.wait_all_tasks_blocked()
            host.close()
    assert len(refused) == 3


async def test_writers_of_two_hosts_take_turns(
    shell: Any, other: Any, record: Any, tools: Any
) -> None:
    size, letters = 240_000, (b"a", b"b", b"c", b"d")
    terminal = await shell(f"{RAW} head -c {len(letters) * size}; echo .")
    await tools.see(terminal, b"ready")
    async with other() as host:
        there = await host.adopt(record(terminal))
        with anyio.fail_after(tools.patience):
            async with anyio.create_task_group() as writers:
                for number, letter in enumerate(letters):
                    writers.start_soon((terminal, there)[number % 2].write, letter * size)
        out = await tools.everything(terminal)
    assert all(letter * size in out for letter in letters)


async def test_bytes_of_input_are_counted_over_all_hosts(
    shell: Any, other: Any, record: Any, tools: Any
) -> None:
    terminal = await shell("stty -echo; echo ready; read -r line; read -r line")
    await tools.see(terminal, b"ready")
    await terminal.write(b"12345")
    async with other() as host:
        there = await host.adopt(record(terminal))
        await there.write(b"67\n")
        assert (await there.foreground()).written == (await terminal.foreground()).written == 8
        assert (await there.foreground()).written_at == len(b"ready\r\n")
