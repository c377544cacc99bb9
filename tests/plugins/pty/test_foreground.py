"""The foreground processes of a terminal, and whether they wait for input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from frith.ports import Foreground, Reading, Terminal
from waiting import until

from .conftest import Shell, Transcript


async def seen(terminal: Terminal, fits: Callable[[Foreground], bool]) -> Foreground:
    """Look until what is seen fits: no event tells that a process has entered a system call."""

    async def fitting() -> Foreground | None:
        found = await terminal.foreground()
        return found if found and fits(found) else None

    found: Foreground | None = await until(fitting)
    assert found is not None
    return found


async def reads(terminal: Terminal, how: Reading) -> Foreground:
    return await seen(terminal, lambda found: found.reading is how)


async def test_a_process_blocked_in_reading_its_terminal_only_reads(shell: Shell) -> None:
    await reads(await shell("exec cat"), Reading.ONLY)


async def test_a_pipeline_reads_if_one_of_it_does(shell: Shell) -> None:
    await reads(await shell("sleep 100 | { read x </dev/tty; }"), Reading.ONLY)


async def test_a_process_that_sleeps_does_not_read(shell: Shell) -> None:
    await seen(await shell("exec sleep 100"), lambda found: found.programs == {"sleep", "100"})
    found = await reads(await shell("exec sleep 100"), Reading.NOT)
    assert found.secret is False


async def test_a_process_that_ends_while_it_is_looked_at_does_not_read(shell: Shell) -> None:
    terminal = await shell("while :; do sleep 0.001; done")
    await seen(terminal, lambda found: "sleep" in found.programs)
    readings = {found.reading for _ in range(1000) if (found := await terminal.foreground())}
    assert readings == {Reading.NOT}


SELECT = "import select, sys; select.select([0], [], [])"
POLL = "import select; p = select.poll(); p.register(0, select.POLLIN); p.poll()"
TIMED = "import select\nwhile 1: select.select([0], [], [], 9)"
TIMED_POLL = "import select\np = select.poll(); p.register(0, select.POLLIN)\nwhile 1: p.poll(9000)"
TWO = "import os, select; r, w = os.pipe(); select.select([0, r], [], [])"
EPOLL = "import select; e = select.epoll(); e.register(0, select.EPOLLIN); e.poll()"
OTHER = "import os, select; r, w = os.pipe(); select.select([r], [], [])"
OTHER_EPOLL = "import os, select; r, w = os.pipe(); e = select.epoll(); e.register(r); e.poll()"
THREADS = """
import os, signal, threading
threading.Thread(target=os.read, args=(0, 1), daemon=True).start()
signal.pause()
"""


@pytest.mark.parametrize(
    ("program", "reading"),
    [
        pytest.param(SELECT, Reading.ONLY, id="select"),
        pytest.param(POLL, Reading.ONLY, id="poll"),
        pytest.param(TIMED, Reading.ALSO, id="select for a time"),
        pytest.param(TIMED_POLL, Reading.ALSO, id="poll for a time"),
        pytest.param(TWO, Reading.ALSO, id="select of two"),
        pytest.param(EPOLL, Reading.ALSO, id="epoll"),
        pytest.param(OTHER, Reading.NOT, id="select of another"),
        pytest.param(OTHER_EPOLL, Reading.NOT, id="epoll of another"),
        pytest.param(THREADS, Reading.ALSO, id="a thread among others"),
    ],
)
async def test_what_a_process_waits_for_is_told(
    python: Shell, transcript: type[Transcript], program: str, reading: Reading
) -> None:
    terminal = await python(f"print('ready', flush=True)\n{program}")
    async with terminal.attach() as view:
        await transcript(view).until(b"ready")
    await reads(terminal, reading)


async def test_a_terminal_that_takes_a_line_without_showing_it_asks_for_a_secret(
    python: Shell,
) -> None:
    terminal = await python("import getpass; getpass.getpass()")
    assert (await reads(terminal, Reading.ONLY)).secret


async def test_the_programs_in_the_foreground_are_named_with_their_scripts(
    shell: Shell, tmp_path: Any
) -> None:
    script = tmp_path / "agent"
    script.write_text("import time; time.sleep(100)")
    terminal = await shell(f"{sys.executable} -S {script} | cat")
    await seen(terminal, lambda found: {"agent", "cat"} <= found.programs)


async def test_a_background_job_is_not_in_the_foreground(shell: Shell) -> None:
    terminal = await shell("set -m; sleep 100 & exec cat")
    assert (await reads(terminal, Reading.ONLY)).programs == {"cat"}


async def test_bytes_of_input_are_counted(shell: Shell) -> None:
    terminal = await shell("exec cat")
    assert (await reads(terminal, Reading.ONLY)).written == 0
    await terminal.write(b"four")
    assert (await seen(terminal, lambda found: found.written != 0)).written == 4


async def test_an_ended_process_has_no_foreground(shell: Shell) -> None:
    terminal = await shell("exit")
    await terminal.exited()
    assert await terminal.foreground() is None
