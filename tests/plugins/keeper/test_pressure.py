"""Hosts that write faster than the process reads: they wait, and no memory is filled."""

from __future__ import annotations

import select
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.model import Session
from frith_keeper.finding import Keepers, name_of
from frith_keeper.link import greet, send_hello
from frith_keeper.options import KeeperOptions
from frith_os.pty import wire

RAW = "stty raw -echo; echo ready; "


@pytest.fixture
def writer(tmp_path: Path, session: Session) -> Any:
    """Connects to a terminal's keeper as a host that writes and reads no answer."""

    def connected(terminal: Any) -> Any:
        name = name_of(session.id, terminal.terminal_id)
        connection = Keepers(tmp_path, KeeperOptions()).connect(name)
        send_hello(connection)
        greeted = greet(connection, 10)
        greeted.connection.setblocking(False)
        return greeted

    return connected


def sent(connection: Any, most: Any) -> Any:
    """Send writes until the keeper takes no more; return how many bytes of data it took."""
    data, count = b"x" * wire.INPUT, 0
    while count < most:
        try:
            connection.send(wire.write(1 + count // wire.INPUT, data))
            count += wire.INPUT
        except BlockingIOError:
            if not select.select([], [connection], [], 0.5)[1]:
                break
    return count


async def test_a_host_that_writes_without_end_has_to_wait(
    shell: Any, writer: Any, tools: Any
) -> None:
    terminal = await shell(RAW + "sleep 100")
    await tools.see(terminal, b"ready")
    with closing(writer(terminal)) as host:
        most = 3 * wire.MOST_INPUT
        assert await anyio.to_thread.run_sync(sent, host.connection, most) < most
    assert await terminal.foreground() is not None, "other hosts are served meanwhile"


async def test_a_waiting_host_is_served_once_the_process_reads(
    shell: Any, writer: Any, tools: Any, tmp_path: Path
) -> None:
    terminal = await shell(RAW + "while ! [ -e go ]; do sleep 0.01; done; wc -c")
    await tools.see(terminal, b"ready")
    with closing(writer(terminal)) as host:
        await anyio.to_thread.run_sync(sent, host.connection, 2 * wire.MOST_INPUT)
        (tmp_path / "go").touch()
        with anyio.fail_after(tools.patience):
            await anyio.wait_writable(host.connection)


async def test_one_write_larger_than_a_keeper_keeps_is_refused(
    shell: Any, writer: Any, tools: Any
) -> None:
    terminal = await shell(RAW + "sleep 100")
    await tools.see(terminal, b"ready")
    with closing(writer(terminal)) as host:
        packets = wire.MOST_INPUT // wire.INPUT + 1
        for left in reversed(range(packets)):
            await anyio.wait_writable(host.connection)
            host.connection.send(wire.write(1, b"x" * wire.INPUT, more=left > 0))
        with anyio.fail_after(tools.patience):
            await anyio.wait_readable(host.connection)
        assert wire.parse(host.connection.recv(wire.LARGEST))["error"] == "large"


async def test_a_host_writes_large_input_in_parts(shell: Any, tools: Any) -> None:
    size = wire.MOST_INPUT + 1
    terminal = await shell(RAW + f"head -c {size} | wc -c")
    await tools.see(terminal, b"ready")
    await terminal.write(b"x" * size)
    assert str(size).encode() in await tools.everything(terminal)
