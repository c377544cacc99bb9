"""Invalid messages of one host: the keeper goes on serving the others."""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.ports import Size
from frith_keeper.finding import name_of
from frith_keeper.link import KeeperError
from frith_os.pty import wire
from waiting import PATIENCE

ECHO = 'stty -echo; echo ready; while read -r line; do echo "got $line"; done'


@pytest.fixture
async def terminal(shell: Any, tools: Any) -> Any:
    terminal = await shell(ECHO)
    await tools.see(terminal, b"ready")
    return terminal


@pytest.fixture
def connection(terminal: Any, places: Path) -> Any:
    """A connection to the keeper, as a host has it that may say anything."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        directory = os.open(places, os.O_PATH)
        name = name_of(terminal.session_id, terminal.ref["terminal"])
        connection.connect(f"/proc/self/fd/{directory}/{name}")
        os.close(directory)
        connection.settimeout(PATIENCE)
        yield connection


@pytest.fixture
def greeted(connection: Any) -> Any:
    connection.send(wire.message(do="hello", seq=0, versions=[1]))
    _, fds, _, _ = socket.recv_fds(connection, wire.LARGEST, 2)
    for fd in fds:
        os.close(fd)
    return connection


async def serves(terminal: Any, tools: Any) -> None:
    await terminal.write(b"others\n")
    await tools.see(terminal, b"got others")
    assert await terminal.foreground() is not None


async def rests(pid: Any) -> None:
    """Return when process ``pid`` was asleep fifty times out of fifty."""
    with anyio.fail_after(PATIENCE):
        seen = ""
        while seen[-50:] != "S" * 50:
            await anyio.lowlevel.checkpoint()
            seen += Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\xff\xfe",
        b"[" * 60000,
        b"null",
        b"W",
        b"{}",
        b'{"do": "hello"}',
        b'{"do": "hello", "versions": 1}',
        b'{"do": "hello", "versions": [[]]}',
        b'{"do": "hello", "seq": {}, "versions": [99]}',
        b'{"do": "resize", "seq": 1}',
        wire.write(1, b"before the greeting\n"),
        wire.hold(0),
    ],
)
async def test_an_invalid_first_message_ends_the_connection(
    terminal: Any, connection: Any, tools: Any, first: Any
) -> None:
    connection.send(first)
    await serves(terminal, tools)
    async with terminal.attach() as view:
        assert b"before the greeting" not in view.snapshot


async def test_a_host_of_an_unknown_version_gets_the_known_ones(connection: Any) -> None:
    connection.send(wire.message(do="hello", seq=5, versions=[98, 99]))
    answer = wire.parse(connection.recv(wire.LARGEST))
    assert answer == {"seq": 5, "error": "version", "versions": [1]}
    assert connection.recv(wire.LARGEST) == b""


async def test_a_host_with_a_common_version_is_served(connection: Any) -> None:
    connection.send(wire.message(do="hello", seq=5, versions=[99, 1], unknown={"new": "field"}))
    answer, fds, _, _ = socket.recv_fds(connection, wire.LARGEST, 2)
    assert wire.parse(answer)["version"] == 1
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize(
    "fields",
    [
        {"do": "write"},
        {"do": "write", "data": "text", "more": False},
        {"do": "resize"},
        {"do": "resize", "viewer": [], "rows": 1, "columns": 1},
        {"do": "resize", "viewer": "v", "rows": 0, "columns": 1},
        {"do": "resize", "viewer": "v", "rows": 1 << 70, "columns": 1},
        {"do": "resize", "viewer": "v", "rows": "many", "columns": 1},
        {"do": "resize", "viewer": "v", "rows": float("nan"), "columns": 1},
        {"do": "leave"},
        {"do": "signal"},
        {"do": "signal", "number": 9999},
        {"do": "signal", "number": 1 << 70},
        {"do": "signal", "number": None},
        {"do": "hold"},
        {"do": "hold", "at": "x"},
        {"do": "hold", "at": None},
    ],
)
async def test_an_invalid_request_is_refused(
    terminal: Any, greeted: Any, tools: Any, fields: Any
) -> None:
    greeted.send(wire.message(seq=7, **fields))
    answer = wire.parse(greeted.recv(wire.LARGEST))
    assert (answer["seq"], answer["error"]) == (7, "invalid")
    await terminal.resize("me", Size(20, 70))
    await serves(terminal, tools)


@pytest.mark.parametrize("at", [1.5, 1 << 80, -(1 << 80)])
async def test_an_invalid_offset_to_hold_does_not_block_the_process(
    terminal: Any, greeted: Any, tools: Any, at: Any
) -> None:
    greeted.send(wire.message(seq=7, do="hold", at=at))
    assert wire.parse(greeted.recv(wire.LARGEST))["seq"] == 7
    await serves(terminal, tools)


@pytest.mark.parametrize("what", ["dance", None, [], 7])
async def test_an_unknown_request_is_refused(
    terminal: Any, greeted: Any, tools: Any, what: Any
) -> None:
    greeted.send(wire.message(seq=7, do=what))
    assert wire.parse(greeted.recv(wire.LARGEST)) == {"seq": 7, "error": "unknown"}
    await serves(terminal, tools)


async def test_a_keeper_whose_process_runs_does_not_leave(
    terminal: Any, greeted: Any, tools: Any
) -> None:
    greeted.send(wire.message(seq=7, do="collect"))
    assert wire.parse(greeted.recv(wire.LARGEST)) == {"seq": 7, "error": "running"}
    await serves(terminal, tools)


@pytest.mark.parametrize("packet", [b"\xff", b"7", b"H", b"H" * 100, struct.pack("<xI", 1)])
async def test_an_invalid_packet_ends_the_connection(
    terminal: Any, greeted: Any, tools: Any, packet: Any
) -> None:
    greeted.send(packet)
    assert greeted.recv(wire.LARGEST) == b""
    await serves(terminal, tools)


async def test_incomplete_input_is_not_written(terminal: Any, greeted: Any, tools: Any) -> None:
    greeted.send(wire.write(1, b"half", more=True))
    greeted.send(wire.write(2, b"whole\n"))
    await tools.see(terminal, b"got whole")
    greeted.send(wire.write(3, b"lost", more=True))
    greeted.close()
    await serves(terminal, tools)


async def test_a_host_that_reads_no_answers_is_disconnected(
    terminal: Any, greeted: Any, tools: Any
) -> None:

    def ask_for_ever() -> None:
        while True:
            greeted.send(wire.message(seq=1, do="foreground"))

    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        ask_for_ever()
    await serves(terminal, tools)


async def test_a_signal_that_does_not_exist_is_refused(terminal: Any, tools: Any) -> None:
    with pytest.raises(KeeperError, match="invalid"):
        await terminal.signal(9999)
    await terminal.signal(signal.SIGWINCH)
    await serves(terminal, tools)


async def test_a_keeper_with_many_silent_connections_serves_on(
    terminal: Any, places: Path, tools: Any
) -> None:
    directory = os.open(places, os.O_PATH)
    name = name_of(terminal.session_id, terminal.ref["terminal"])
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(200)]
    for connection in silent:
        connection.connect(f"/proc/self/fd/{directory}/{name}")
    await serves(terminal, tools)
    for connection in silent:
        connection.close()
    os.close(directory)
    await serves(terminal, tools)


async def test_a_keeper_out_of_descriptors_accepts_hosts_when_it_has_some_again(
    terminal: Any, keeper_of: Any, other: Any, record: Any, tools: Any
) -> None:
    keeper = keeper_of(terminal)
    limits = resource.prlimit(keeper, resource.RLIMIT_NOFILE)
    held = len(os.listdir(f"/proc/{keeper}/fd"))
    resource.prlimit(keeper, resource.RLIMIT_NOFILE, (held, limits[1]))
    async with other() as host, anyio.create_task_group() as tasks:

        async def adopt() -> None:
            adopted = await host.adopt(record(terminal))
            assert adopted.pid == terminal.pid

        tasks.start_soon(adopt)
        await serves(terminal, tools)
        await rests(keeper)
        resource.prlimit(keeper, resource.RLIMIT_NOFILE, limits)
