"""Another user of the machine, a real one, has no access to a keeper."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from frith.model import Session
from frith_keeper.finding import name_of

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")

TRY = r"""
import json, os, signal, socket, sys
places, name, keeper, pid, tty = json.loads(sys.argv[1])
found = {}

def attempt(what, call):
    try:
        found[what] = repr(call())
    except OSError as error:
        found[what] = type(error).__name__

def connect():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(name)

attempt("list names", lambda: os.listdir(places))
attempt("enter", lambda: os.chdir(places))
attempt("look at socket", lambda: os.stat(os.path.join(places, name)))
attempt("connect", connect)
attempt("remove", lambda: os.unlink(os.path.join(places, name)))
attempt("signal keeper", lambda: os.kill(keeper, signal.SIGUSR1))
attempt("end keeper", lambda: os.kill(keeper, signal.SIGKILL))
attempt("signal process", lambda: os.kill(pid, signal.SIGTERM))
attempt("read its memory", lambda: open(f"/proc/{keeper}/mem", "rb").read(1))
attempt("list its descriptors", lambda: os.listdir(f"/proc/{keeper}/fd"))
attempt("read its environment", lambda: open(f"/proc/{keeper}/environ", "rb").read())
attempt("read terminal", lambda: os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
found["command line"] = open(f"/proc/{keeper}/cmdline").read()
print(json.dumps(found))
"""
READ = r"""
import json, socket, sys
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.connect(sys.argv[1])
try:
    connection.send(b'{"do": "hello", "seq": 1, "versions": [1]}')
    packet, fds, _, _ = socket.recv_fds(connection, 65536, 2)
    print(json.dumps([packet.decode(), fds]))
except OSError as error:
    print(json.dumps(["", []]))
"""


def as_nobody(program: Any, *arguments: Any, **keywords: Any) -> Any:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, *arguments],
        capture_output=True,
        text=True,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        check=False,
        **keywords,
    )
    if "Permission" in done.stderr and "python" in done.stderr:
        pytest.skip("the interpreter is not for everybody")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def in_reach(tmp_path: Path) -> Any:
    """Let everybody come as far as the directory of the keepers: the worst case."""
    changed = {}
    for parent in tmp_path.parents[:-1]:
        if not parent.stat().st_mode & 0o001:
            changed[parent] = parent.stat().st_mode
            parent.chmod(changed[parent] | 0o001)
    yield
    for parent, mode in changed.items():
        parent.chmod(mode)


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that everybody may execute."""
    try:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", ""],
            check=True, user=NOBODY, group=NOBODY, extra_groups=[],
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
        if not os.access(sys.executable, os.X_OK):
            pytest.skip("there is no interpreter that everybody may execute")


@pytest.mark.usefixtures("in_reach")
async def test_another_user_cannot_connect_signal_or_list_names(
    shell: Any,
    tools: Any,
    places: Path,
    keeper_of: Any,
    session: Session,
    request: pytest.FixtureRequest,
) -> None:
    terminal = await shell("echo ready; read -r line; echo got $line")
    await tools.see(terminal, b"ready")
    for directory in (places.parent, places.parent.parent):
        directory.chmod(0o755)
    request.getfixturevalue("interpreter")
    tty = terminal._greeting.tty
    name = name_of(session.id, terminal.ref["terminal"])
    asked = json.dumps([str(places), name, keeper_of(terminal), terminal.pid, tty])
    found = as_nobody(TRY, asked, cwd=places)
    assert session.id not in found.pop("command line")
    assert set(found.values()) == {"PermissionError"}, found
    await terminal.write(b"on\n")
    await tools.see(terminal, b"got on")


@pytest.mark.usefixtures("in_reach")
async def test_another_user_who_reaches_the_socket_gets_no_answer(
    shell: Any, tools: Any, places: Path, session: Session, request: pytest.FixtureRequest
) -> None:
    # As if somebody had opened the directory to all: the keeper looks who connects.
    terminal = await shell("echo ready; read -r line; echo got $line")
    await tools.see(terminal, b"ready")
    request.getfixturevalue("interpreter")
    path = places / name_of(session.id, terminal.ref["terminal"])
    for directory in (places, places.parent, places.parent.parent):
        directory.chmod(0o755)
    path.chmod(0o666)
    assert as_nobody(READ, path.name, cwd=places) == ["", []]
    await terminal.write(b"on\n")
    await tools.see(terminal, b"got on")


async def test_names_of_sessions_are_not_in_public_files_of_processes(
    shell: Any, session: Session, keeper_of: Any
) -> None:
    terminal = await shell("read line")
    for name in ("cmdline", "comm", "stat"):
        with open(f"/proc/{keeper_of(terminal)}/{name}") as file:
            text = file.read()
        assert session.id not in text
        assert str(terminal.ref["terminal"]) not in text
    with open("/proc/net/unix") as sockets:
        assert [line for line in sockets if str(terminal.ref["terminal"]) in line] == []


async def test_files_of_a_keeper_of_root_belong_to_the_owner_of_the_repository(
    shell: Any, other: Any, tmp_path: Path, tools: Any
) -> None:
    git = tmp_path / ".git"
    git.mkdir()
    for path in (tmp_path, git):
        os.chown(path, NOBODY, NOBODY)
    for _ in range(2):  # the second time in directories that are that user's already
        async with other() as host:
            await tools.everything(await shell("echo words", of=host))
        made = [path for path in git.rglob("*") if not path.is_socket()]
        assert {path.name for path in made if path.parent.name == "frith"} == {
            "keepers",
            "outputs",
        }
        assert {path.stat().st_uid for path in made} == {NOBODY}
        assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}
        assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}
