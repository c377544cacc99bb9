"""Programs that misbehave: the outcome is clear, and other terminals are not affected."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from frith.errors import TerminalClosedError
from frith.ports import AttachMode, Chunk, Size, SpawnRequest, TerminalSpawner


@pytest.fixture(autouse=True)
async def neighbour(shell: Any, transcript: Any) -> Any:
    """A program that answers before and after, whatever happens in between."""
    terminal = await shell("stty -echo; while read -r line; do echo answer $line; done")
    async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
        seen = transcript(view)
        await terminal.write(b"before\n")
        await seen.until(b"answer before\r\n")
        yield terminal
        await terminal.write(b"after\n")
        await seen.until(b"answer after\r\n")


@pytest.mark.requirement("R7.5")
async def test_a_process_that_dies_at_once_is_drained(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], output_of: Any
) -> None:
    terminal = await spawner.spawn(request_for("false"))
    assert (await terminal.exited()).code == 1
    assert await output_of(terminal) == b""
    with pytest.raises(TerminalClosedError):
        await terminal.write(b"x")


async def test_a_process_that_forks_and_exits_is_drained(shell: Any, output_of: Any) -> None:
    terminal = await shell("setsid -f sleep 100; echo gone; exit 6")
    assert (await terminal.exited()).code == 6
    assert await output_of(terminal) == b"gone\r\n"
    assert (await terminal.terminate(1)).code == 6


async def test_a_process_that_ignores_every_signal_is_killed(python: Any, transcript: Any) -> None:
    terminal = await python(
        "import signal\n"
        "for n in signal.valid_signals() - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    async with terminal.attach() as view:
        await transcript(view).until(b"ready")
    await terminal.signal(signal.SIGINT)
    assert (await terminal.terminate(0.1)).signal == signal.SIGKILL


async def test_an_invalid_answer_of_a_terminal_reaches_the_process(
    shell: Any, output_of: Any
) -> None:
    # Where is the cursor? A terminal that answers nonsense answers the program, nobody else.
    ask = r"stty raw -echo; printf '\033[6n\033[c\033]11;?\007'; dd bs=1 count=9 2>/dev/null"
    terminal = await shell(ask)
    await terminal.write(b"\x1b[999999;")
    assert (await output_of(terminal)).endswith(b"\x1b[6n\x1b[c\x1b]11;?\x07\x1b[999999;"[-9:])
    assert (await terminal.exited()).code == 0


async def test_the_largest_window_is_accepted(shell: Any, output_of: Any) -> None:
    terminal = await shell("stty size", size=Size(65535, 65535))
    assert await output_of(terminal) == b"65535 65535\r\n"


@pytest.mark.requirement("R7.3")
async def test_viewers_that_attach_while_it_exits_see_all_of_it(shell: Any) -> None:
    seen: list[Any] = []

    async def view(delay: int) -> None:
        for _ in range(delay):
            await anyio.lowlevel.checkpoint()
        async with terminal.attach() as view:
            rest = [part.data async for part in view if isinstance(part, Chunk)]
            seen.append(view.snapshot + b"".join(rest))

    terminal = await shell("head -c 20000 /dev/zero | tr '\\0' x")
    async with anyio.create_task_group() as viewers:
        for delay in range(0, 200, 10):
            viewers.start_soon(view, delay)
        await terminal.exited()
        viewers.start_soon(view, 0)
    assert seen == [b"x" * 20000] * 21


@pytest.mark.requirement("R7.3")
async def test_ten_thousand_viewers_come_and_go(shell: Any, transcript: Any) -> None:
    terminal = await shell("echo ready; read line; echo $line")
    for _ in range(10_000):
        async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
            pass
    async with terminal.attach() as view:
        await terminal.write(b"still here\n")
        await transcript(view).until(b"still here\r\nstill here\r\n")


@pytest.mark.requirement("R7.3")
async def test_a_thousand_viewers_at_once_see_the_same(shell: Any) -> None:
    seen: list[Any] = []

    async def view() -> None:
        async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
            rest = [part.data async for part in view if isinstance(part, Chunk)]
            seen.append(view.snapshot + b"".join(rest))

    terminal = await shell("stty -echo; read line; head -c 100000 /dev/zero")
    async with anyio.create_task_group() as viewers:
        for _ in range(1000):
            viewers.start_soon(view)
        await anyio.wait_all_tasks_blocked()
        await terminal.write(b"\n")
    assert len(seen) == 1000
    assert {len(each) for each in seen} == {len(seen[0])}
    assert seen[0].endswith(b"\0" * 100000)


async def test_a_viewer_that_stops_waiting_is_released(shell: Any) -> None:
    terminal = await shell("read line")
    async with terminal.attach() as view:
        for _ in range(100):
            with anyio.move_on_after(0):
                await anext(view.__aiter__())
    assert terminal._viewers.news._waiting == []
