"""Reading a terminal that others read too, or that goes away."""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import Iterator
from contextlib import suppress

import anyio
import pytest

from frith_cli.attach.tty import CANCEL, Tty, raw_tty


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the end where one types, and the other."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, slave
    for fd in {master, slave}:
        try:
            os.close(fd)
        except OSError:  # the test has closed it
            continue


async def test_input_that_another_reader_took_is_waited_for_again(
    ends: tuple[int, int],
) -> None:
    master, slave = ends
    read: list[bytes] = []

    async def reader(terminal: Tty) -> None:
        read.append(await terminal.read())
        os.write(master, b"b" if len(read) == 1 else b"")

    with raw_tty(slave, slave) as one, raw_tty(slave, slave) as other:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader, one)
            tasks.start_soon(reader, other)
            await anyio.wait_all_tasks_blocked()
            os.write(master, b"a")
    assert read == [b"a", b"b"]


async def test_a_terminal_that_cannot_be_read_has_gone(ends: tuple[int, int]) -> None:
    master, slave = ends
    os.close(slave)
    assert await Tty(master, master).read() == b""


async def test_a_terminal_that_cannot_be_written_has_gone(ends: tuple[int, int]) -> None:
    master, slave = ends
    with raw_tty(slave, slave) as terminal:
        os.close(master)
        assert not await terminal.write(b"unseen")


async def test_a_sequence_cut_off_by_a_cancellation_is_ended(ends: tuple[int, int]) -> None:
    master, slave = ends
    with raw_tty(slave, slave) as terminal:
        await terminal.write(b"whole")
        await terminal.end_cut_sequence()
        assert os.read(master, 100) == b"whole"
        with anyio.move_on_after(0.05):
            await terminal.write(1000 * b"\x1b]0;title\x07" * 1000)
        os.set_blocking(master, False)
        with suppress(BlockingIOError):
            while os.read(master, 65536):
                pass
        for _ in range(2):
            await terminal.end_cut_sequence()
        assert os.read(master, 100) == CANCEL
