"""Finding a keeper: its socket removed, replaced, in the way, or invalid."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import SpawnError
from frith.model import ExitStatus, Session
from frith.ports import Size
from frith_keeper.finding import Keepers, name_of
from frith_keeper.link import KeeperError
from frith_keeper.options import KeeperOptions
from frith_os.processes import here

ECHO = 'stty -echo; echo ready; while read -r line; do echo "got $line"; done'
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
NOBODY = 65534


def path_of(places: Path, terminal: Any) -> Any:
    return places / name_of(terminal.session_id, terminal.ref["terminal"])


def test_a_relative_directory_is_in_the_workspace(tmp_path: Path) -> None:
    assert Keepers(tmp_path, KeeperOptions(directory="sockets")).directory == str(
        tmp_path / "sockets"
    )
    assert Keepers(tmp_path, KeeperOptions(directory="/run/sockets")).directory == "/run/sockets"


@contextmanager
def served(path: Any, answer: Any, kind: Any = socket.SOCK_SEQPACKET) -> Any:
    """Listen at ``path``, in place of a keeper; call ``answer`` with each connection."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, kind) as listening:
        directory = os.open(path.parent, os.O_PATH)
        listening.bind(f"/proc/self/fd/{directory}/{path.name}")
        os.close(directory)
        listening.listen()
        connections = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connections.append(connection)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield connections
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


@pytest.fixture
def gone(session: Session) -> Any:
    """A session whose keeper, by its record, was on another machine or before a reboot."""
    ref = {"terminal": "0" * 32, "keeper": os.getpid(), "keeperStart": "1", "pid": os.getpid()}
    return session.detail(terminal_ref=ref)


@pytest.fixture
def its_path(places: Path, gone: Any) -> Any:
    return places / name_of(gone.id, "0" * 32)


def without_socket(places: Path, path: Any) -> None:
    path.unlink()


def without_directory(places: Path, path: Any) -> None:
    shutil.rmtree(places)


def without_its_parent(places: Path, path: Any) -> None:
    shutil.rmtree(places.parent)


def with_a_stale_socket(places: Path, path: Any) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        directory = os.open(places, os.O_PATH)
        stale.bind(f"/proc/self/fd/{directory}/{path.name}")
        os.close(directory)


def with_a_file(places: Path, path: Any) -> None:
    path.unlink()
    path.write_text("something else")


def with_a_symlink_that_leads_nowhere(places: Path, path: Any) -> None:
    path.unlink()
    path.symlink_to("/nowhere/at/all")


@pytest.mark.parametrize(
    "removed",
    [
        without_socket,
        without_directory,
        without_its_parent,
        with_a_stale_socket,
        with_a_file,
        with_a_symlink_that_leads_nowhere,
    ],
)
async def test_a_keeper_whose_socket_was_removed_is_found_again(
    shell: Any, other: Any, record: Any, places: Path, tools: Any, removed: Any
) -> None:
    terminal = await shell(ECHO)
    removed(places, path_of(places, terminal))
    async with other() as host:
        again = await host.adopt(record(terminal))
        assert again.pid == terminal.pid
        await again.write(b"more\n")
        await tools.see(terminal, b"got more")
    assert places.stat().st_mode & 0o777 == 0o700
    async with other() as host:
        assert (await host.adopt(record(terminal))).pid == terminal.pid


async def test_how_a_process_ended_is_told_where_the_directory_was_removed(
    shell: Any, other: Any, record: Any, places: Path, tools: Any
) -> None:
    async with other() as first:
        terminal = await shell("read line; exit 5", of=first)
        recorded = record(terminal)
        shutil.rmtree(places)
        await terminal.write(b"\n")
        with anyio.fail_after(tools.patience):
            await terminal.drained()
    async with other() as second:
        again = await second.adopt(recorded)
        assert await again.exited() == ExitStatus(code=5)
        await again.collect()
        assert await second.adopt(recorded) is None


def without_descriptors(*_: Any) -> None:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


async def test_a_stopped_keeper_is_woken_by_whoever_looks_for_it(
    shell: Any, other: Any, record: Any, keeper_of: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = await shell(ECHO)
    os.kill(keeper_of(terminal), signal.SIGSTOP)
    first = iter([0.1])
    monkeypatch.setattr(
        "frith_keeper.finding.fail_after",
        lambda seconds: anyio.fail_after(next(first, seconds)),
    )
    async with other(answer_timeout=tools.patience) as host:
        again = await host.adopt(record(terminal))
        await again.write(b"more\n")
        await tools.see(again, b"got more")


async def test_a_host_without_descriptors_to_wake_one_serves_its_other_terminals(
    shell: Any, other: Any, keeper_of: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with other(answer_timeout=0.1, write_timeout=0.1) as host:
        stopped = await shell(ECHO, of=host)
        runs = tools.patient(await shell(ECHO, of=host))
        os.kill(keeper_of(stopped), signal.SIGSTOP)
        monkeypatch.setattr("frith_keeper.keeper_processes.matching", without_descriptors)
        with anyio.fail_after(tools.patience), pytest.raises(KeeperError, match="does not answer"):
            await stopped.write(b"more\n")
        await runs.write(b"more\n")
        await tools.see(runs, b"got more")
        os.kill(keeper_of(stopped), signal.SIGCONT)


@pytest.mark.parametrize("what", ["write", "signal", "resize", "terminate"])
async def test_a_stopped_keeper_is_woken_by_whoever_asks_it_something(
    shell: Any, other: Any, keeper_of: Any, tools: Any, what: Any
) -> None:
    async with other(answer_timeout=0.1, write_timeout=0.1) as host:
        terminal = tools.patient_once_woken(await shell(ECHO, of=host))
        os.kill(keeper_of(terminal), signal.SIGSTOP)
        ask = {
            "write": lambda: terminal.write(b"more\n"),
            "signal": lambda: terminal.signal(signal.SIGWINCH),
            "resize": lambda: terminal.resize("me", Size(20, 70)),
            "terminate": lambda: terminal.terminate(1),
        }
        with anyio.fail_after(tools.patience):
            await ask[what]()


async def test_a_keeper_that_is_not_to_be_woken_is_an_error_in_bounded_time(
    shell: Any, other: Any, record: Any, keeper_of: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frith_keeper.terminal.send_signal", lambda *_: True)
    monkeypatch.setattr("frith_keeper.finding.send_signal", lambda *_: True)
    async with other(answer_timeout=0.1, write_timeout=0.1) as host:
        terminal = await shell(ECHO, of=host)
        os.kill(keeper_of(terminal), signal.SIGSTOP)
        with anyio.fail_after(tools.patience):
            with pytest.raises(KeeperError, match="does not answer"):
                await terminal.write(b"x")
            with pytest.raises(KeeperError, match="does not answer"):
                await terminal.signal(signal.SIGWINCH)
            assert await terminal.foreground() is None
        os.kill(keeper_of(terminal), signal.SIGCONT)


def says(packet: Any) -> Any:
    return lambda connection: connection.send(packet)


def says_with_descriptors(packet: Any) -> Any:
    return lambda connection: socket.send_fds(connection, [packet], [0, 0])


def cut_off(connection: Any) -> None:
    connection.recv(1 << 16)
    connection.send(b'{"seq": 0, "version": 1, "sess')
    connection.close()


SAID = {
    "seq": 0,
    "version": 1,
    "session": "s",
    "terminal": "t",
    "keeper": 1,
    "keeperStart": "1",
    "pid": 1,
    "startTime": "1",
    "tty": "/dev/pts/0",
    "capacity": 1000000,
    "sizes": [[0, 24, 80]],
    "exit": None,
    "drained": False,
}
HELLO = json.dumps(SAID).encode()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says(b"\xff\x00 rubbish"), "invalid reply"),
        (says(b"[1, 2]"), "invalid reply"),
        (says(b"[" * 60000), "invalid reply"),
        (says(b"{}"), "invalid reply|version"),
        (cut_off, "invalid reply"),
        (says(HELLO), "version"),
        (says_with_descriptors(HELLO.replace(b'"version": 1', b'"version": 99')), "version"),
        (says(b'{"seq": 0, "error": "version", "versions": [99]}'), "refuses: version"),
    ],
)
async def test_whatever_answers_in_place_of_a_keeper_is_an_error(
    other: Any, gone: Any, its_path: Any, tools: Any, answer: Any, reason: Any
) -> None:
    with served(its_path, answer):
        async with other(answer_timeout=tools.patience) as host:
            with pytest.raises(KeeperError, match=reason):
                await host.adopt(gone)


async def test_whatever_does_not_answer_in_place_of_a_keeper_is_an_error(
    other: Any, gone: Any, its_path: Any, tools: Any
) -> None:
    with served(its_path, lambda _: None):
        async with other(answer_timeout=0.1) as host:
            with anyio.fail_after(tools.patience), pytest.raises(KeeperError, match="does not ans"):
                await host.adopt(gone)


@pytest.mark.parametrize("name", sorted(SAID.keys() - {"seq", "version", "exit"}))
@pytest.mark.parametrize("wrong", [None, [[0, 24]], {}])
async def test_a_greeting_without_a_valid_field_is_an_error(
    other: Any, gone: Any, its_path: Any, name: Any, wrong: Any
) -> None:
    answer = says_with_descriptors(json.dumps({**SAID, name: wrong}).encode())
    with served(its_path, answer):
        async with other() as host:
            with pytest.raises(KeeperError, match=f"invalid reply.*{name}"):
                await host.adopt(gone)


async def test_descriptors_of_an_invalid_reply_are_closed(
    other: Any, gone: Any, its_path: Any
) -> None:
    with served(its_path, says_with_descriptors(HELLO)) as connections:
        async with other() as host:
            with pytest.raises(KeeperError, match="invalid reply"):
                await host.adopt(gone)
            before = len(os.listdir("/proc/self/fd")) - len(connections)
            with pytest.raises(KeeperError, match="invalid reply"):
                await host.adopt(gone)
            assert len(os.listdir("/proc/self/fd")) - len(connections) == before


async def test_a_keeper_that_leaves_while_it_is_asked_is_gone(
    other: Any, gone: Any, its_path: Any
) -> None:
    with served(its_path, lambda connection: connection.close()):
        async with other() as host:
            assert await host.adopt(gone) is None


async def test_a_foreign_socket_in_its_place_is_an_error(
    other: Any, gone: Any, its_path: Any
) -> None:
    with served(its_path, lambda _: None, socket.SOCK_STREAM):
        async with other() as host:
            with pytest.raises(KeeperError, match="cannot be reached"):
                await host.adopt(gone)


async def test_a_symlink_to_another_keeper_is_an_error(
    shell: Any, other: Any, gone: Any, its_path: Any, places: Path
) -> None:
    terminal = await shell(ECHO)
    its_path.symlink_to(path_of(places, terminal))
    async with other() as host:
        with pytest.raises(KeeperError, match="process of another session"):
            await host.adopt(gone)
    its_path.unlink()


@ROOT
async def test_a_socket_of_another_user_is_an_error_and_is_told_nothing(
    other: Any, gone: Any, its_path: Any
) -> None:
    its_path.parent.mkdir(parents=True)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.chdir(its_path.parent)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            listening.bind(its_path.name)
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            listening.listen()
            os.write(writing, b"x")
            connection, _ = listening.accept()
            os._exit(1 if connection.recv(100) else 0)
    os.read(reading, 1)
    for end in (reading, writing):
        os.close(end)
    async with other() as host:
        with pytest.raises(KeeperError, match="belongs to another user"):
            await host.adopt(gone)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    its_path.unlink()


@pytest.mark.parametrize("what", ["another user's", "a symlink", "a file"])
async def test_where_no_directory_can_be_trusted_nothing_is_started(
    shell: Any, places: Path, keepers: Any, tmp_path: Path, what: Any
) -> None:
    places.parent.mkdir()
    if what == "another user's":
        if os.geteuid():
            pytest.skip("only root can give a directory away")
        places.mkdir()
        os.chown(places, NOBODY, NOBODY)
    elif what == "a symlink":
        places.symlink_to(tmp_path)
    else:
        places.write_text("")
    with pytest.raises(SpawnError, match="keepers|another user"):
        await shell("exit 0")
    assert keepers.left() == set()
    places.rmdir() if what == "another user's" else places.unlink()


@ROOT
async def test_what_another_user_left_about_an_end_is_not_believed(
    other: Any, gone: Any, its_path: Any, places: Path
) -> None:
    places.mkdir(parents=True)
    its_path.with_name(its_path.name + ".exit").write_text('{"exit": {"code": 0}, "end": 0}')
    os.chown(places, NOBODY, NOBODY)
    async with other() as host:
        assert await host.adopt(gone) is None
    os.chown(places, 0, 0)


@pytest.mark.parametrize("noted", ["", "rubbish", "{}", '{"exit": {"code": "x"}}', "[]"])
async def test_an_invalid_exit_file_is_ignored(
    other: Any, gone: Any, its_path: Any, noted: Any
) -> None:
    its_path.parent.mkdir(parents=True)
    its_path.with_name(its_path.name + ".exit").write_text(noted)
    async with other() as host:
        assert await host.adopt(gone) is None


async def test_a_directory_that_others_may_enter_is_shut(shell: Any, places: Path) -> None:
    places.mkdir(parents=True, mode=0o755)
    await shell("read line")
    assert places.stat().st_mode & 0o777 == 0o700


async def test_a_long_path_of_the_workspace_works(
    opened: Any, shell: Any, record: Any, session: Session, tmp_path: Path, tools: Any
) -> None:
    long = tmp_path / ("d" * 120) / ("e" * 120)
    async with opened(directory=str(long)) as host:
        terminal = await shell(ECHO, of=host)
        recorded = record(terminal)
    async with opened(directory=str(long)) as host:
        again = await host.adopt(recorded)
        await again.write(b"more\n")
        await tools.see(again, b"got more")
        await again.terminate(0)
    assert list(long.iterdir()) == []


async def test_a_name_too_long_is_refused(shell: Any, keepers: Any) -> None:
    with pytest.raises(SpawnError, match="too long"):
        await shell("read line", session_id="s" * 200)
    assert keepers.left() == set()


@pytest.mark.parametrize(
    "ref",
    [
        {},
        {"terminal": 7},
        {"terminal": "x", "keeper": "y"},
        {"terminal": "x", "keeper": -1},
        {"terminal": "x", "keeper": 1 << 80},
        {"terminal": "../../x"},
    ],
)
async def test_an_invalid_reference_adopts_nothing(other: Any, session: Session, ref: Any) -> None:
    recorded = ref | here() if ref else {}
    async with other() as host:
        assert await host.adopt(session.detail(terminal_ref=recorded)) is None


async def test_a_jump_of_the_clock_has_no_effect(
    shell: Any, other: Any, record: Any, monkeypatch: pytest.MonkeyPatch, tools: Any
) -> None:
    terminal = await shell(ECHO)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    async with other() as host:
        again = await host.adopt(record(terminal))
        await again.write(b"more\n")
        await tools.see(again, b"got more")
