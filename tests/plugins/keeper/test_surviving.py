"""The events that a keeper survives, and those that end it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import TerminalClosedError
from frith.model import ExitStatus
from frith_keeper import start as start_module
from frith_keeper.link import KeeperLostError, greet
from waiting import wait_until

WAIT = "while :; do sleep 0.01; done"
ECHO = 'stty -echo; echo ready; while read -r line; do echo "got $line"; done'


def hangs_up(host: Any) -> None:
    host.hang_up()


def presses_control_c(host: Any) -> None:
    os.write(host.terminal, b"\x03")


def is_killed(host: Any) -> None:
    host.process.kill()


def is_killed_with_its_group(host: Any) -> None:
    os.killpg(host.process.pid, signal.SIGKILL)


@pytest.mark.parametrize("what", [hangs_up, presses_control_c, is_killed, is_killed_with_its_group])
async def test_process_and_keeper_survive_their_host(
    start_host: Any, spawner: Any, tools: Any, what: Any
) -> None:
    host = start_host(ECHO)
    what(host)
    host.gone()
    terminal = await spawner.adopt(host.session)
    assert (terminal.pid, terminal.ref) == (host.pid, host.session.details.terminal_ref)
    await terminal.write(b"more\n")
    await tools.see(terminal, b"got more")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP])
async def test_signals_of_a_terminal_do_nothing_to_a_keeper(
    shell: Any, tools: Any, keeper_of: Any, number: Any
) -> None:
    terminal = await shell(ECHO)
    os.kill(keeper_of(terminal), number)
    await terminal.write(b"more\n")
    await tools.see(terminal, b"got more")


async def test_a_process_that_stops_while_no_host_is_there_is_continued(
    start_host: Any, spawner: Any, keepers: Any, tmp_path: Path
) -> None:
    host = start_host("echo ready; while ! [ -e stop ]; do sleep 0.01; done; kill -STOP $$; exit 4")
    host.process.kill()
    host.gone()
    (tmp_path / "stop").touch()
    await anyio.to_thread.run_sync(wait_until, lambda: not keepers.processes())
    terminal = await spawner.adopt(host.session)
    assert await terminal.exited() == ExitStatus(code=4)


async def test_a_keeper_told_to_end_hangs_up_and_writes_the_exit(
    shell: Any, other: Any, record: Any, places: Path, keeper_of: Any, tools: Any
) -> None:
    terminal = await shell(f"trap 'echo tidied; exit 4' HUP; echo ready; {WAIT}")
    await tools.see(terminal, b"ready")
    recorded = record(terminal)
    os.kill(keeper_of(terminal), signal.SIGTERM)
    with anyio.fail_after(tools.patience):
        assert not terminal.was_shut_down
        assert await terminal.exited() == ExitStatus(code=4)
        assert terminal.was_shut_down
    assert b"tidied" in await tools.everything(terminal)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    async with other() as host:
        ended = await host.adopt(recorded)
        assert await ended.exited() == ExitStatus(code=4)
        assert ended.was_shut_down
        assert (ended.pid, ended.ref, ended.session_id) == (
            terminal.pid, terminal.ref, recorded.id
        )  # fmt: skip
        with pytest.raises(TerminalClosedError):
            await ended.write(b"x")
        await ended.collect()
        assert await host.adopt(recorded) is None
    assert list(places.iterdir()) == []


async def test_a_process_that_ended_before_its_keeper_was_told_to_was_not_shut_down(
    shell: Any, other: Any, record: Any, keeper_of: Any, tools: Any
) -> None:
    terminal = await shell("exit 4")
    recorded = record(terminal)
    await tools.everything(terminal)
    assert not terminal.was_shut_down
    os.kill(keeper_of(terminal), signal.SIGTERM)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    async with other() as host:
        ended = await host.adopt(recorded)
        assert not ended.was_shut_down
        await ended.collect()


async def test_a_killed_keeper_is_lost_and_its_process_is_ended(
    shell: Any, keeper_of: Any, tools: Any, keepers: Any
) -> None:
    terminal = await shell("trap '' HUP TERM; setsid sleep 1000 & echo ready; sleep 1000")
    await tools.see(terminal, b"ready")
    os.kill(keeper_of(terminal), signal.SIGKILL)
    with anyio.fail_after(tools.patience):
        with pytest.raises(KeeperLostError, match="killed"):
            await terminal.exited()
        await terminal.drained()
    assert keepers.left() == set()
    assert b"ready" in await tools.everything(terminal), "what was seen stays"
    with pytest.raises(TerminalClosedError):
        await terminal.write(b"x")


async def test_a_keeper_killed_without_a_host_leaves_nothing_to_adopt(
    start_host: Any, spawner: Any, keepers: Any, tools: Any
) -> None:
    host = start_host("trap '' HUP; echo ready; sleep 1000")
    is_killed(host)
    host.gone()
    os.kill(host.keeper, signal.SIGKILL)
    await anyio.to_thread.run_sync(tools.until_gone, host.keeper)
    assert await spawner.adopt(host.session) is None
    report = await spawner.sweep(host.session, 0)
    assert host.pid in report.ended
    assert keepers.left() == set()


async def test_a_keeper_of_an_ended_process_waits_for_a_host(
    start_host: Any, spawner: Any, other: Any, tools: Any
) -> None:
    host = start_host("echo ready; read -r line; echo last words; exit 3")
    is_killed(host)
    host.gone()
    async with other() as brief:
        await (await brief.adopt(host.session)).write(b"\n")
    await anyio.to_thread.run_sync(tools.until_gone, host.pid)
    terminal = await spawner.adopt(host.session)
    assert await terminal.exited() == ExitStatus(code=3)
    assert (await tools.everything(terminal)).endswith(b"last words\r\n")


@pytest.mark.parametrize("linger", [0, 0.2])
async def test_after_the_linger_only_the_exit_status_is_kept(
    other: Any, shell: Any, record: Any, keeper_of: Any, tools: Any, linger: Any, places: Path
) -> None:
    async with other(linger=linger) as first:
        terminal = await shell("exit 7", of=first)
        recorded = record(terminal)
        with anyio.fail_after(tools.patience):
            await terminal.drained()
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    async with other() as second:
        ended = await second.adopt(recorded)
        assert await ended.exited() == ExitStatus(code=7)
        async with ended.attach() as view:
            assert (view.snapshot, [item async for item in view]) == (b"", [])
        assert await ended.terminate(0) == ExitStatus(code=7)
        assert await second.adopt(recorded) is None
    assert list(places.iterdir()) == []


async def test_a_process_may_end_before_its_host_knows_its_keeper(
    other: Any, shell: Any, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greet_late(connection: Any, within: Any) -> Any:
        wait_until(lambda: list(places.glob("*.exit")))
        return greet(connection, within)

    monkeypatch.setattr(start_module, "greet", greet_late)
    async with other(linger=0) as host:
        terminal = await shell("exit 7", of=host)
        assert await terminal.exited() == ExitStatus(code=7)
