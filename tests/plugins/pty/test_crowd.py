"""A terminal that waits for its turn among many that write much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from frith.ports import AttachMode, Chunk, SpawnRequest, TerminalSpawner
from frith_pty import terminal as terminal_module
from frith_pty import turns
from waiting import PATIENCE

WRITE = "stty raw -echo; head -c {} /dev/zero; "


@dataclass
class Gap:
    begun: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)


@pytest.fixture
async def gap(monkeypatch: pytest.MonkeyPatch) -> Any:
    """One terminal is a crowd already; its next turn comes when ``over`` is set."""
    monkeypatch.setattr(turns, "_FEW", -1)
    monkeypatch.setattr(turns, "_SPAN", -1.0)
    gap = Gap()

    async def until_over(_: float) -> None:
        gap.begun.set()
        await gap.over.wait()

    monkeypatch.setattr(turns, "sleep", until_over)
    return gap


@pytest.fixture
async def waiting(
    gap: Any, spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest]
) -> Any:
    """Starts a script whose terminal has been read and waits for its next turn."""
    started = []

    async def start(script: str) -> Any:
        terminal = await spawner.spawn(request_for("sh", "-c", script))
        started.append(terminal)
        await gap.begun.wait()
        return terminal

    yield start
    for terminal in started:
        await terminal.terminate(0)
    gap.over.set()


async def test_a_terminal_in_the_queue_is_not_read(waiting: Any, gap: Any) -> None:
    terminal = await waiting(WRITE.format(1_000_000) + "sleep 100")
    read = terminal._output.ring.end
    await anyio.wait_all_tasks_blocked()
    assert terminal._output.ring.end == read < 1_000_000
    gap.over.set()
    async with terminal.attach() as view:
        while terminal._output.ring.end < 1_000_000:
            await anext(view)


async def test_a_reading_lossless_viewer_does_not_advance_a_terminal_in_the_queue(
    waiting: Any,
) -> None:
    terminal = await waiting(WRITE.format(1_000_000) + "sleep 100")
    async with terminal.attach(0, AttachMode.LOSSLESS) as view:
        terminal._viewers.has_read(view)
    assert terminal._is_queued


async def test_a_terminal_in_the_queue_is_read_at_once_when_its_process_has_ended(
    waiting: Any, output_of: Any
) -> None:
    terminal = await waiting(WRITE.format(3000) + "read go; head -c 9000 /dev/zero")
    with anyio.fail_after(PATIENCE):
        await terminal.write(b"\n")
        assert await output_of(terminal) == bytes(12_000)


async def test_a_terminal_in_the_queue_can_be_terminated(waiting: Any) -> None:
    terminal = await waiting("exec yes")
    with anyio.fail_after(PATIENCE):
        assert (await terminal.terminate(PATIENCE)).signal == 15


async def test_a_terminal_in_the_queue_can_be_closed_before_its_turn(
    waiting: Any, gap: Any
) -> None:
    terminal = await waiting("exec yes")
    await terminal.aclose()
    read = terminal._output.ring.end
    gap.over.set()
    await anyio.wait_all_tasks_blocked()
    assert terminal._output.ring.end == read


async def test_a_quiet_terminal_does_not_wait_for_a_crowd(
    waiting: Any, shell: Any, transcript: Any
) -> None:
    await waiting("exec yes")
    quiet = await shell("read line; echo got $line")
    async with quiet.attach() as view:
        await quiet.write(b"it\n")
        with anyio.fail_after(PATIENCE):
            await transcript(view).until(b"got it")


async def test_a_terminal_in_the_queue_has_its_turn_when_the_host_is_cancelled(
    gap: Any, opened: Any, request_for: Callable[..., SpawnRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_module, "_HANGUP_GRACE", PATIENCE)
    monkeypatch.setattr(terminal_module, "_CLOSE_LIMIT", 2 * PATIENCE)
    with anyio.CancelScope() as scope:
        async with opened() as spawner:
            script = f"trap '' HUP; {WRITE.format(1_000_000)}"
            terminal = await spawner.spawn(request_for("sh", "-c", script))
            await gap.begun.wait()
            scope.cancel()
            gap.over.set()
    assert terminal._output.ring.end == 1_000_000


async def test_nothing_is_lost_in_a_crowd(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "_FEW", 1)
    monkeypatch.setattr(turns, "_SPAN", 0.01)
    program = "stty raw; read go; i=100000; while [ $i -lt 120000 ]; do echo $i; i=$((i+1)); done"
    whole = b"".join(b"%d\n" % number for number in range(100_000, 120_000))
    seen = []

    async def follow() -> None:
        terminal = await spawner.spawn(request_for("sh", "-c", program + " | cat"))
        async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
            await terminal.write(b"\n")
            parts = [part.data async for part in view if isinstance(part, Chunk)]
            seen.append(view.snapshot + b"".join(parts))

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(follow)
    assert all(whole in each for each in seen)
