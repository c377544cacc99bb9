"""What is written to a terminal."""

from __future__ import annotations

import anyio
import pytest

from frith.errors import LineTooLongError, TerminalBusyError, TerminalClosedError
from frith.ports import Size
from waiting import PATIENCE

RAW = "stty raw -echo; echo ready; "


async def ready(terminal, transcript) -> None:
    async with terminal.attach() as view:
        await transcript(view).until(b"ready")


async def test_it_reaches_the_process(shell, output_of):
    terminal = await shell("stty -echo; echo ready; read line; echo got $line")
    await terminal.write("grüße\n".encode())
    assert (await output_of(terminal)).endswith("got grüße\r\n".encode())


async def test_nothing_is_fine_too(shell):
    await (await shell("read line")).write(b"")


@pytest.mark.requirement("R7.1")
async def test_concurrent_writers_take_turns(shell, output_of, transcript):
    size = 40_000
    terminal = await shell(f"{RAW} head -c {3 * size}; echo .")
    await ready(terminal, transcript)
    async with anyio.create_task_group() as writers:
        for letter in (b"a", b"b", b"c"):
            writers.start_soon(terminal.write, letter * size)
    out = await output_of(terminal)
    assert all(letter * size in out for letter in (b"a", b"b", b"c"))


async def test_a_process_that_does_not_read_is_not_waited_for_without_bound(
    opened, request_for, transcript
):
    async with opened(write_timeout=0.1) as spawner:
        terminal = await spawner.spawn(request_for("sh", "-c", RAW + "sleep 100"))
        await ready(terminal, transcript)
        with pytest.raises(TerminalBusyError) as refused:
            await terminal.write(b"x" * 1_000_000)
        assert 0 < refused.value.written < refused.value.total == 1_000_000
        with pytest.raises(TerminalBusyError) as refused:
            await terminal.write(b"y" * 1_000_000)
        assert refused.value.total == 1_000_000


async def test_waiting_writers_learn_that_the_process_has_ended(shell, transcript):
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


async def test_a_cancelled_writer_leaves_the_turn_to_others(shell, transcript, tmp_path):
    terminal = await shell(RAW + "while ! [ -e go ]; do sleep 0.01; done; cat")
    await ready(terminal, transcript)
    async with anyio.create_task_group() as writers:
        writers.start_soon(terminal.write, b"x" * 1_000_000)
        await anyio.wait_all_tasks_blocked()
        writers.cancel_scope.cancel()
    (tmp_path / "go").touch()
    with anyio.fail_after(PATIENCE):
        await terminal.write(b"y")


async def test_a_writer_that_was_cancelled_before_learns_of_it(shell):
    terminal = await shell("read line")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await terminal.write(b"x")
    assert scope.cancelled_caught


async def test_an_ended_process_takes_nothing_more(shell):
    terminal = await shell("exit 0")
    await terminal.exited()
    for attempt in (
        lambda: terminal.write(b"x"),
        lambda: terminal.write(b""),
        lambda: terminal.resize("me", Size()),
        lambda: terminal.signal(15),
    ):
        with pytest.raises(TerminalClosedError):
            await attempt()


async def test_the_longest_line_that_a_terminal_keeps_arrives_whole(shell, output_of, transcript):
    terminal = await shell("stty -echo; echo ready; read line; echo ${#line}")
    await ready(terminal, transcript)
    await terminal.write(b"x" * 4095 + b"\n")
    assert (await output_of(terminal)).split()[-1] == b"4095"


@pytest.mark.parametrize("end", [b"\n", b"\r", b"", b"\x04"])
async def test_a_longer_line_is_refused_before_any_of_it_is_written(
    shell, output_of, transcript, end
):
    terminal = await shell("stty -echo; echo ready; read line; echo ${#line}")
    await ready(terminal, transcript)
    with pytest.raises(LineTooLongError) as refused:
        await terminal.write(b"fine\n" + b"x" * 4096 + end)
    assert (refused.value.length, refused.value.limit) == (4096, 4095)
    await terminal.write(b"short\n")
    assert (await output_of(terminal)).split()[-1] == b"5"


async def test_a_line_written_in_pieces_counts_as_one(shell):
    terminal = await shell("cat >/dev/null")
    await terminal.write(b"first\nx" + b"x" * 3000)
    with pytest.raises(LineTooLongError):
        await terminal.write(b"x" * 2000)
    await terminal.write(b"\x15" + b"y" * 2000)  # Control-U discards what was typed


async def test_many_lines_may_be_long_together(shell, output_of, transcript):
    terminal = await shell("stty -echo; echo ready; head -n 30 | wc -c")
    await ready(terminal, transcript)
    await terminal.write((b"x" * 999 + b"\n") * 30)
    assert (await output_of(terminal)).split()[-1] == b"30000"


async def test_a_program_that_reads_keys_takes_any_length(shell, output_of, transcript):
    terminal = await shell(RAW + "head -c 10000 | wc -c")
    await ready(terminal, transcript)
    await terminal.write(b"x" * 10_000)
    assert b"10000" in await output_of(terminal)


async def test_control_characters_do_what_they_do_at_a_keyboard(shell):
    terminal = await shell("read line")
    await terminal.write(b"\x03")
    assert (await terminal.exited()).signal == 2


@pytest.mark.requirement("R7.1")
async def test_the_latest_size_holds_and_the_process_is_told(shell, transcript):
    terminal = await shell("trap 'stty size' WINCH; echo ready; while :; do sleep 0.01; done")
    async with terminal.attach() as view:
        seen = transcript(view)
        await seen.until(b"ready")
        await terminal.resize("one viewer", Size(10, 20))
        await seen.until(b"10 20")
        await terminal.resize("another", Size(65535, 1))
        await seen.until(b"65535 1\r")


@pytest.mark.parametrize("size", [Size(0, 80), Size(24, 0), Size(65536, 80), Size(-1, 80)])
async def test_an_impossible_size_is_refused(shell, size):
    terminal = await shell("read line")
    with pytest.raises(ValueError, match="cannot have"):
        await terminal.resize("me", size)


async def test_a_signal_goes_to_the_process_group(shell, transcript):
    terminal = await shell(
        "trap 'echo parent' USR1; "
        "(trap 'echo child' USR1; echo ready; while :; do sleep 0.01; done) & wait; wait"
    )
    async with terminal.attach() as view:
        seen = transcript(view)
        await seen.until(b"ready")
        await terminal.signal(10)
        await seen.until(b"child")
        await seen.until(b"parent")


async def test_there_is_no_signal_of_that_number(shell):
    terminal = await shell("read line")
    with pytest.raises(ValueError, match="no signal 999"):
        await terminal.signal(999)
