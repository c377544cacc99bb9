"""A host that its keeper has disconnected, or could, and a greeting that fails."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import SpawnError
from frith.model import Session
from frith.ports import AttachMode, Size, SpawnRequest
from frith_keeper import link
from frith_keeper.finding import Keepers, name_of
from frith_keeper.link import KeeperError, greet, send_hello
from frith_keeper.options import KeeperOptions
from frith_os.pty import wire

ECHO = 'stty -echo; echo ready; while read -r line; do echo "got $line"; done'
ASK = "stty -echo; echo ready; while read -r _; do stty size; done"
MANY = 1500
"""More than a keeper keeps for a host that does not read."""


@pytest.fixture
def connect(tmp_path: Path, session: Session) -> Any:
    """Connects to a terminal's keeper as one more host, which does nothing by itself."""

    def connected(terminal: Any) -> Any:
        connection = Keepers(tmp_path, KeeperOptions()).connect(
            name_of(session.id, terminal.terminal_id)
        )
        send_hello(connection)
        return greet(connection, 10)

    return connected


def let_go(terminal: Any) -> None:
    """Have the keeper disconnect the host, as each that sends an invalid message."""
    terminal._link._socket.send(b"rubbish")


async def reconnected(terminal: Any, tools: Any) -> None:
    """Wait until the host has the keeper again, which it takes for others that have left."""
    with anyio.fail_after(tools.patience):
        await terminal.departed()


@pytest.fixture
def is_served(tools: Any) -> Any:
    """Returns whether a host that has not read for long is still connected."""

    def answered(host: Any) -> Any:
        host.connection.settimeout(tools.patience)
        host.connection.send(wire.message(do="foreground", seq=7))
        while packet := host.connection.recv(wire.LARGEST):
            if wire.parse(packet).get("seq") == 7:
                return True
        return False

    return answered


async def test_a_suspended_host_stays_connected_while_others_leave(
    shell: Any, connect: Any, is_served: Any
) -> None:
    terminal = await shell(ECHO)
    with closing(connect(terminal)) as suspended:
        for _ in range(MANY):
            connect(terminal).close()
        assert is_served(suspended)


async def test_a_suspended_host_stays_connected_while_the_size_changes(
    shell: Any, connect: Any, is_served: Any
) -> None:
    terminal = await shell(ECHO)
    with closing(connect(terminal)) as suspended:
        for number in range(MANY):
            await terminal.resize("viewer", Size(20 + number % 2, 80))
        assert is_served(suspended)


async def test_a_disconnected_host_reconnects_to_its_terminal(shell: Any, tools: Any) -> None:
    terminal = await shell(ECHO)
    async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
        seen = tools.transcript(view)
        await seen.until(b"ready")
        let_go(terminal)
        await reconnected(terminal, tools)
        await terminal.write(b"more\n")
        await seen.until(b"got more")
        os.kill(terminal.pid, 0)


async def test_windows_of_a_reconnected_host_count(shell: Any, tools: Any) -> None:
    terminal = await shell(ASK)
    await tools.see(terminal, b"ready")
    await terminal.resize("viewer", Size(21, 81))
    let_go(terminal)
    await reconnected(terminal, tools)
    await terminal.resize("another", Size(22, 82))
    await terminal.leave("another")
    await terminal.write(b"\n")
    await tools.see(terminal, b"21 81")


async def test_a_reconnected_host_sees_output_from_in_between(
    shell: Any, tools: Any, connect: Any
) -> None:
    terminal = await shell(ECHO)
    await tools.see(terminal, b"ready")
    let_go(terminal)
    with closing(connect(terminal)) as another:
        another.connection.send(wire.write(1, b"meanwhile\n"))
        await tools.see(terminal, b"got meanwhile")


async def test_a_reconnected_host_learns_of_the_exit(shell: Any, tools: Any) -> None:
    terminal = await shell("echo ready; read -r _; exit 5")
    await tools.see(terminal, b"ready")
    await terminal.write(b"\n")
    let_go(terminal)
    with anyio.fail_after(tools.patience):
        assert (await terminal.exited()).code == 5
        await terminal.drained()


async def test_a_process_runs_on_while_its_keeper_cannot_be_reached(
    shell: Any, tools: Any, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frith_keeper.terminal._RETRY", 0.01)
    terminal = await shell(ECHO)
    await tools.see(terminal, b"ready")
    refusals: list[Any] = []

    async def again(name: Any, ref: Any, once_more: Any = terminal._keepers.find) -> Any:
        if len(refusals) < 3:
            refusals.append(ref)
            raise KeeperError("There are no descriptors left.")
        return await once_more(name, ref)

    monkeypatch.setattr(terminal._keepers, "find", again)
    let_go(terminal)
    await reconnected(terminal, tools)
    await terminal.write(b"more\n")
    await tools.see(terminal, b"got more")
    assert refusals == [terminal.ref] * 3


async def test_the_provider_closes_while_the_keeper_cannot_be_reached(
    shell: Any, other: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, record: Any
) -> None:
    async with other() as host:
        terminal = await shell(ECHO, of=host)
        await tools.see(terminal, b"ready")
        asked = anyio.Event()

        async def never(name: Any, ref: Any) -> None:
            asked.set()
            await anyio.sleep_forever()

        monkeypatch.setattr(terminal._keepers, "find", never)
        let_go(terminal)
        await asked.wait()
    async with other() as host:
        adopted = await host.adopt(record(terminal))
        await adopted.write(b"more\n")
        await tools.see(adopted, b"got more")


def with_one_descriptor_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    received = socket.recv_fds

    def first_only(*args: Any) -> Any:
        packet, fds, *rest = received(*args)
        for fd in fds[1:]:
            os.close(fd)
        return packet, fds[:1], *rest

    monkeypatch.setattr(socket, "recv_fds", first_only)


def with_no_memory_for_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(link, "MappedRing", refuse)


def with_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, "recv_fds", too_late)


FAILS = pytest.mark.parametrize(
    "fails", [with_one_descriptor_too_few, with_no_memory_for_the_ring, with_no_answer_in_time]
)


async def test_without_memory_for_the_scrollback_no_process_is_started(
    opened: Any, request_for: Callable[..., SpawnRequest], keepers: Any
) -> None:
    async with opened(scrollback=1 << 62) as host:
        with pytest.raises(SpawnError, match="its keeper cannot serve"):
            await host.spawn(request_for("sh", "-c", "trap '' HUP; sleep 1000"))
    assert keepers.left() == set()


@FAILS
async def test_a_start_that_fails_at_the_greeting_leaves_nothing(
    opened: Any,
    request_for: Callable[..., SpawnRequest],
    fails: Any,
    keepers: Any,
    places: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fails(monkeypatch)
    async with opened() as host:
        with pytest.raises(SpawnError, match="did not start"):
            await host.spawn(request_for("sleep", "1000"))
        assert keepers.left() == set()
        assert os.listdir(places) == []


@FAILS
async def test_adopting_that_fails_at_the_greeting_ends_nothing(
    shell: Any, tools: Any, other: Any, record: Any, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = await shell(ECHO)
    await tools.see(terminal, b"ready")
    async with other() as host:
        with monkeypatch.context() as context:
            fails(context)
            with pytest.raises(KeeperError):
                await host.adopt(record(terminal))
    await terminal.write(b"more\n")
    await tools.see(terminal, b"got more")
