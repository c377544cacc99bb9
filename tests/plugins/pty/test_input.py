"""Input to a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from frith.errors import LineTooLongError, TerminalBusyError, TerminalClosedError
from frith.ports import SpawnRequest
from waiting import PATIENCE

RAW = "stty raw -echo; echo ready; "


async def ready(terminal: Any, transcript: Any) -> None:
    async with terminal.attach() as view:
        await transcript(view).until(b"ready")


async def test_an_empty_write_succeeds(shell: Any) -> None:
    await (await shell("read line")).write(b"")


async def test_a_write_to_a_process_that_does_not_read_ends_after_the_timeout(
    opened: Any, request_for: Callable[..., SpawnRequest], transcript: Any
) -> None:
    async with opened(write_timeout=0.1) as spawner:
        terminal = await spawner.spawn(request_for("sh", "-c", RAW + "sleep 100"))
        await ready(terminal, transcript)
        with pytest.raises(TerminalBusyError) as refused:
            await terminal.write(b"x" * 1_000_000)
        assert 0 < refused.value.written < refused.value.total == 1_000_000
        with pytest.raises(TerminalBusyError) as refused:
            await terminal.write(b"y" * 1_000_000)
        assert refused.value.total == 1_000_000


async def test_waiting_writers_learn_that_the_process_has_ended(
    shell: Any, transcript: Any
) -> None:
    terminal = await shell(RAW + "sleep 100")
    await ready(terminal, transcript)
    refused = []

    async def write() -> None:
        with pytest.raises(TerminalClosedError):
            await terminal.write(b"x" * 1_000_000)
        refused.append(True)

    async with anyio.create_task_group() as writers:
        for _ in range(3):
            writers.start_soon(write)
        await anyio.wait_all_tasks_blocked()
        await terminal.terminate(PATIENCE)
    assert len(refused) == 3


async def test_a_writer_that_was_cancelled_before_learns_of_it(shell: Any) -> None:
    terminal = await shell("read line")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await terminal.write(b"x")
    assert scope.cancelled_caught


async def test_the_longest_line_that_a_terminal_keeps_arrives_whole(
    shell: Any, output_of: Any, transcript: Any
) -> None:
    terminal = await shell("stty -echo; echo ready; read line; echo ${#line}")
    await ready(terminal, transcript)
    await terminal.write(b"x" * 4095 + b"\n")
    assert (await output_of(terminal)).split()[-1] == b"4095"


@pytest.mark.parametrize("end", [b"\n", b"\r", b"", b"\x04"])
async def test_a_longer_line_is_refused_before_any_of_it_is_written(
    shell: Any, output_of: Any, transcript: Any, end: Any
) -> None:
    terminal = await shell("stty -echo; echo ready; read line; echo ${#line}")
    await ready(terminal, transcript)
    with pytest.raises(LineTooLongError) as refused:
        await terminal.write(b"fine\n" + b"x" * 4096 + end)
    assert (refused.value.length, refused.value.limit) == (4096, 4095)
    await terminal.write(b"short\n")
    assert (await output_of(terminal)).split()[-1] == b"5"


async def test_a_line_written_in_pieces_counts_as_one(shell: Any) -> None:
    terminal = await shell("cat >/dev/null")
    await terminal.write(b"first\nx" + b"x" * 3000)
    with pytest.raises(LineTooLongError):
        await terminal.write(b"x" * 2000)
    await terminal.write(b"\x15" + b"y" * 2000)  # Control-U discards what was typed


async def test_many_lines_may_be_long_together(shell: Any, output_of: Any, transcript: Any) -> None:
    terminal = await shell("stty -echo; echo ready; head -n 30 | wc -c")
    await ready(terminal, transcript)
    await terminal.write((b"x" * 999 + b"\n") * 30)
    assert (await output_of(terminal)).split()[-1] == b"30000"


async def test_a_program_that_reads_keys_takes_any_length(
    shell: Any, output_of: Any, transcript: Any
) -> None:
    terminal = await shell(RAW + "head -c 10000 | wc -c")
    await ready(terminal, transcript)
    await terminal.write(b"x" * 10_000)
    assert b"10000" in await output_of(terminal)


async def test_control_characters_do_what_they_do_at_a_keyboard(shell: Any) -> None:
    terminal = await shell("read line")
    await terminal.write(b"\x03")
    assert (await terminal.exited()).signal == 2


async def test_a_signal_that_does_not_exist_is_refused(shell: Any) -> None:
    terminal = await shell("read line")
    with pytest.raises(ValueError, match="no signal 999"):
        await terminal.signal(999)
