"""The end of processes, by themselves and by termination."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.ports import AttachMode, SpawnRequest, TerminalSpawner
from frith_os.processes import all_pids, environ_of
from frith_os.pty.output import Stopped
from frith_pty import terminal as terminal_module
from waiting import PATIENCE

STUBBORN = "trap '' TERM HUP; "


def carriers(session_id: str) -> list[int]:
    """The living processes that carry the identity of a session."""
    mark = f"FRITH_SESSION_ID={session_id}".encode()
    return [pid for pid in all_pids() if mark in (environ_of(pid) or ())]


@pytest.fixture
async def running(shell: Any, transcript: Any) -> Any:
    """Starts a script and waits until it says that it is ready."""

    async def start(script: str) -> Any:
        terminal = await shell(script)
        async with terminal.attach() as view:
            await transcript(view).until(b"ready")
        return terminal

    return start


@pytest.mark.requirement("R7.5")
async def test_an_exit_status_that_other_code_collected_is_reported_as_unknown(shell: Any) -> None:
    terminal = await shell("exit 3")
    os.waitpid(terminal.pid, 0)
    assert (await terminal.exited()).code == 255
    await terminal.drained()
    assert (await terminal.terminate(0)).code == 255


@pytest.mark.requirement("R2.7")
async def test_terminating_without_grace_kills_at_once(running: Any) -> None:
    terminal = await running("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done")
    assert (await terminal.terminate(0)).signal == signal.SIGKILL


@pytest.mark.requirement("R2.7")
async def test_a_stopped_process_is_woken_to_end(running: Any) -> None:
    # Not the leader, which would be continued at once.
    job = "trap 'exit 5' TERM; echo ready; kill -STOP \\$\\$; exit 0"
    terminal = await running(f'trap : TERM; sh -c "{job}" & wait; wait $!')
    assert (await terminal.terminate(30)).code == 5


@pytest.mark.parametrize("program", ["bash --norc -i", "bash --posix -i", "dash -i"])
async def test_an_interactive_shell_that_ignores_sigterm_ends_with_its_jobs(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    transcript: Any,
    session_id: str,
    program: Any,
) -> None:
    terminal = await spawner.spawn(request_for(*program.split(), env={"PS1": "ready"}))
    async with terminal.attach() as view:
        seen = transcript(view)
        await seen.until(b"ready")
        await terminal.write(b"sleep 100 & sleep 200 & echo star'te'd\n")
        await seen.until(b"started\r\n")
    exited = await terminal.terminate(30)
    assert exited.signal != signal.SIGKILL
    assert carriers(session_id) == []


def _session_of(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[3])


async def test_another_terminal_of_the_same_session_is_left_alone(
    shell: Any, output_of: Any
) -> None:
    first, second = await shell("exit 0"), await shell("read line; echo alive")
    await first.drained()
    await first.terminate(0)
    await second.write(b"\n")
    assert b"alive" in await output_of(second)


async def test_terminating_twice_or_concurrently_has_one_result(running: Any) -> None:
    terminal = await running("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done")
    answers = []

    async def terminate() -> None:
        answers.append(await terminal.terminate(30))

    async with anyio.create_task_group() as callers:
        for _ in range(3):
            callers.start_soon(terminate)
    await terminate()
    assert [answer.code for answer in answers] == [5] * 4


@pytest.mark.requirement("R7.5")
async def test_nothing_runs_on_when_the_provider_is_cancelled(
    opened: Any,
    request_for: Callable[..., SpawnRequest],
    session_id: str,
    transcript: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def host(*, task_status: Any) -> None:
        async with opened() as spawner:
            request = request_for("sh", "-c", STUBBORN + "echo ready; cat; cat")
            async with (await spawner.spawn(request)).attach() as view:
                await transcript(view).until(b"ready")
            task_status.started()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        await tasks.start(host)
        assert carriers(session_id)
        tasks.cancel_scope.cancel()
    assert carriers(session_id) == []
    assert caplog.text == ""


async def test_output_of_a_closed_provider_can_still_be_read(
    opened: Any, request_for: Callable[..., SpawnRequest]
) -> None:
    async with opened() as spawner:
        terminal = await spawner.spawn(request_for("echo", "something"))
        await terminal.exited()
    async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
        assert view.snapshot == b"something\r\n"
    assert [item async for item in view] == []


@pytest.mark.requirement("R7.5")
async def test_a_hundred_terminals_take_no_thread_and_leave_nothing(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest]
) -> None:
    threads = threading.active_count()
    terminals = [await spawner.spawn(request_for("cat")) for _ in range(100)]
    for terminal in terminals:
        await terminal.write(b"\x04")
    for terminal in terminals:
        assert (await terminal.exited()).code == 0
        await terminal.drained()
    assert threading.active_count() <= threads


async def test_a_process_that_cannot_be_killed_does_not_keep_the_provider_open(
    opened: Any,
    request_for: Callable[..., SpawnRequest],
    transcript: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def end_nothing(*_: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(terminal_module, "end_all", end_nothing)
    monkeypatch.setattr(terminal_module, "_CLOSE_LIMIT", 0.05)
    async with opened() as spawner:
        script = STUBBORN + "echo ready; while :; do :; done"
        terminal = await spawner.spawn(request_for("sh", "-c", script))
        async with terminal.attach() as view:
            await transcript(view).until(b"ready")
    assert "terminal_not_ended" in caplog.text
    await terminal.drained()
    assert terminal._output.read(1) is Stopped.NOT_READABLE
    os.kill(terminal.pid, signal.SIGKILL)
    os.waitpid(terminal.pid, 0)


async def test_a_spurious_wake_up_of_the_pidfd_does_not_end_a_process(shell: Any) -> None:
    terminal = await shell("read line; exit 6")
    terminal._on_exit()
    await terminal.write(b"\n")
    assert (await terminal.exited()).code == 6


@pytest.mark.requirement("R7.5")
async def test_the_death_of_the_host_hangs_up(
    request_for: Callable[..., SpawnRequest], session_id: str, tmp_path: Path
) -> None:
    import subprocess
    import sys

    program = (
        "import anyio, os, signal, sys\n"
        "from frith.ports import SpawnRequest\n"
        "from frith_pty.spawner import open_spawner\n"
        "from frith_terminals.options import TerminalOptions\n"
        "async def main():\n"
        "    async with open_spawner(TerminalOptions(), '/') as spawner:\n"
        f"        request = SpawnRequest({session_id!r}, ('cat',), '/', '/')\n"
        "        print((await spawner.spawn(request)).pid, flush=True)\n"
        "        await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        fd = os.pidfd_open(pid)
        host.kill()
    with anyio.fail_after(PATIENCE):
        await anyio.wait_readable(fd)
    os.close(fd)
