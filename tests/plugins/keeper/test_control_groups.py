"""Keepers and the control group of the program that starts them, which may be killed."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from frith_keeper import service_managers
from frith_os.cgroups import mount_point
from frith_testing.harness.samples import a_session
from waiting import PATIENCE, wait_until

STARTER = Path(__file__).with_name("starter.py")
SYSTEMD = "/lib/systemd/systemd"
LINES = 2000
COUNT = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done; read -r _"
WHOLE = b"".join(b"line %d\r\n" % number for number in range(LINES))
REAL = f"""
mount --make-rprivate / && mount -t tmpfs none /run && mkdir -p /run/systemd/system || exit 1
umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup || exit 1
echo 0 >"/sys/fs/cgroup/$1/cgroup.procs"
XDG_RUNTIME_DIR=$2 exec {SYSTEMD} --user --unit=basic.target
"""
"""Runs a service manager for the control group $1, with its socket in $2, which `systemd` refuses
to where it is not process 1 unless the system looks as if it were."""


class Groups:
    """Control groups of one test."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def make(self, name: str) -> Path:
        group = self.home / name
        group.mkdir()
        return group

    def close(self) -> None:
        """Kill what is left in them, and remove them."""
        (self.home / "cgroup.kill").write_text("1")
        wait_until(lambda: "populated 0" in (self.home / "cgroup.events").read_text())
        for path, _, _ in os.walk(self.home, topdown=False):
            os.rmdir(path)


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups]:
    try:
        home = Path(mount_point()) / f"test-{os.getpid()}-{tmp_path.name}"
        home.mkdir()
    except (OSError, StopIteration):
        pytest.skip("no control groups (version 2), or they may not be made here")
    groups = Groups(home)
    yield groups
    groups.close()


def group_of(pid: int) -> str:
    line = Path(f"/proc/{pid}/cgroup").read_text().splitlines()[-1]
    return line.removeprefix("0::")


@contextmanager
def answering(runtime: Path, answer: Callable[[int, socket.socket], object]) -> Iterator[None]:
    """Run a service manager that answers each request, of which it knows the process."""
    path = runtime / "systemd" / "private"
    path.parent.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    while b"StartTransientUnit" not in connection.recv(65536):
                        pass
                    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                    answer(struct.unpack("3i", credentials)[0], connection)

    thread = Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@contextmanager
def moving(groups: Groups, runtime: Path) -> Iterator[None]:
    numbers = count()

    def move(pid: int, connection: socket.socket) -> None:
        connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        (groups.make(f"{next(numbers)}.scope") / "cgroup.procs").write_text(str(pid))
        connection.sendall(b"l\4\1\1" + bytes(12))  # some signal

    with answering(runtime, move):
        yield


@contextmanager
def systemd(groups: Groups, runtime: Path) -> Iterator[None]:
    if not Path(SYSTEMD).exists() or os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("no systemd, or no mount namespace may be made")
    group = groups.make("user@0.service") / "init.scope"
    group.mkdir()
    name = str(group.relative_to(mount_point()))
    command = ["unshare", "-m", "sh", "-c", REAL, "-", name, str(runtime)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until((runtime / "systemd" / "private").exists)
            yield
        finally:
            process.kill()


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A directory for the manager's socket, whose path may have 107 bytes, see unix(7)."""
    with TemporaryDirectory(dir="/tmp", prefix="frith-") as path:
        yield Path(path)


class Starter:
    """A host in a control group of its own, which has started a process for each session."""

    def __init__(self, group: Path, runtime: Path, workspace: Path, sessions: int) -> None:
        self._group = group
        self._sessions = {each.id: each for each in (a_session() for _ in range(sessions))}
        arguments = [str(each) for each in (STARTER, group, runtime, workspace, COUNT)]
        command = [sys.executable, *arguments, *self._sessions]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.refs, self.warned = json.loads(self._process.stdout.readline())
        self.sessions = [
            self._sessions[each].evolve(pty_pid=ref["pid"]).detail(terminal_ref=ref)
            for each, ref in self.refs.items()
        ]

    def kill_group(self) -> None:
        (self._group / "cgroup.kill").write_text("1")
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.__exit__(None, None, None)


Start = Callable[[Path, int], Starter]


@pytest.fixture
def start(groups: Groups, runtime: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a host with some sessions in a control group."""
    started: list[Starter] = []

    def begin(group: Path, sessions: int) -> Starter:
        started.append(Starter(group, runtime, tmp_path, sessions))
        return started[-1]

    yield begin
    for starter in started:
        starter.kill()


async def all_of_it(spawner: Any, session: Any) -> bytes:
    """Return what the process of ``session`` has written, once it has written the last line."""
    terminal = await spawner.adopt(session)
    assert terminal is not None
    seen: bytes = b""
    with anyio.fail_after(PATIENCE):
        async with terminal.attach() as view:
            assert view.offset == 0
            seen, following = view.snapshot, aiter(view)
            while len(seen) < len(WHOLE):
                seen += (await anext(following)).data
    await terminal.terminate(0)
    return seen


@pytest.mark.parametrize("manager", [moving, systemd])
@pytest.mark.parametrize(
    ("rounds", "sessions"),
    [
        (1, 3),
        pytest.param(*(100, 20), marks=[pytest.mark.nightly, pytest.mark.timeout(3600)]),
    ],
)
async def test_a_control_group_that_is_killed_takes_no_keeper_and_no_byte(
    groups: Groups,
    runtime: Path,
    start: Start,
    opened: Any,
    manager: Any,
    rounds: int,
    sessions: int,
) -> None:
    with manager(groups, runtime):
        async with opened() as spawner:
            for number in range(rounds):
                group = groups.make(f"starter-{number}.service")
                starter = start(group, sessions)
                assert starter.warned == []
                for ref in starter.refs.values():
                    assert group_of(ref["keeper"]) == group_of(ref["pid"])
                    assert group_of(ref["keeper"]).endswith(".scope")
                starter.kill_group()
                for session in starter.sessions:
                    assert await all_of_it(spawner, session) == WHOLE


def refuses(_: int, connection: socket.socket) -> None:
    connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\nl\3\1\1" + bytes(12))
    connection.recv(1)


def hangs(_: int, connection: socket.socket) -> None:
    connection.recv(1)


def talks_rubbish(_: int, connection: socket.socket) -> None:
    connection.sendall(bytes(1000))
    connection.recv(1)


def rejects(_: int, connection: socket.socket) -> None:
    connection.sendall(b"REJECTED EXTERNAL\r\n")
    connection.recv(1)


@pytest.mark.parametrize("answer", [refuses, hangs, talks_rubbish, rejects])
async def test_a_manager_that_does_not_help_prevents_no_start(
    groups: Groups, runtime: Path, start: Start, opened: Any, answer: Any
) -> None:
    group = groups.make("starter.service")
    with answering(runtime, answer):
        starter = start(group, 2)
        assert all(group_of(ref["keeper"]).endswith(group.name) for ref in starter.refs.values())
    starter.kill()
    async with opened() as spawner:
        for session in starter.sessions:
            assert await all_of_it(spawner, session) == WHOLE


async def test_where_there_is_no_manager_the_doctor_says_so(
    groups: Groups, start: Start, opened: Any
) -> None:
    group = groups.make("starter.service")
    starter = start(group, 1)
    (warning,) = starter.warned
    assert "starter.service" in warning
    assert "enable-linger" in warning
    assert "KillMode=process" in warning
    (ref,) = starter.refs.values()
    assert group_of(ref["keeper"]).endswith(group.name)
    starter.kill_group()
    async with opened() as spawner:
        assert await spawner.adopt(starter.sessions[0]) is None
        await spawner.sweep(starter.sessions[0], 0)


UID = 65534
LOGIN, WINDOW = "/user.slice/session-3.scope", f"/user.slice/user@{UID}.service/app.slice/x.scope"
ITS, SYSTEMS = f"/run/user/{UID}/systemd/private", "/run/systemd/private"


@pytest.mark.parametrize(
    ("path", "uid", "lingers", "manager", "warned"),
    [
        (LOGIN, UID, False, "", "enable-linger"),
        (LOGIN, UID, True, ITS, ""),
        (WINDOW, UID, False, ITS, "logging out for the last time"),
        (WINDOW, UID, True, ITS, ""),
        ("/system.slice/web.service", 0, False, SYSTEMS, ""),
        ("/", 0, False, "", ""),
        ("/docker/0123", UID, False, "", ""),
    ],
)
def test_only_a_manager_that_outlives_the_starter_is_asked(
    path: str,
    uid: int,
    lingers: bool,
    manager: str,
    warned: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = {ITS, SYSTEMS, *([service_managers._LINGERING + "/me"] if lingers else [])}
    monkeypatch.setattr(service_managers, "own_path", lambda: path)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os.path, "exists", there.__contains__)
    user = SimpleNamespace(pw_name="me")
    monkeypatch.setattr(pwd, "getpwuid", lambda _: user)
    assert service_managers.scope_manager() == manager
    assert warned in "".join(service_managers.warnings())
    assert bool(service_managers.warnings()) is bool(warned)
