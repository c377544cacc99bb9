"""What tests of the command share: real repositories, and an environment of their own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.model import Session, SessionStatus, now
from frith_cli.main import run
from frith_keeper.options import KeeperOptions
from frith_keeper.spawner import open_spawner
from waiting import PATIENCE

Git = Callable[..., str]
STATE = ".claude-container-sessions.json"
WORK = ("--", "sh", "-c", "echo ready; while read line; do echo got $line; done")
"""The command of a session that repeats what it reads."""
ENDS = ("--", "sh", "-c", "echo ready; read line; exit 7")
_COMMAND = (sys.executable, "-m", "frith_cli")


@pytest.fixture(autouse=True)
def environment(clean_git: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the environment and the git configuration of the user who runs the tests."""
    monkeypatch.delenv("WORKSPACE_ROOT", raising=False)


@pytest.fixture
def git() -> Git:
    def run(directory: Path, *arguments: str) -> str:
        command = ["git", "-c", "protocol.file.allow=always", "-C", str(directory), *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    return run


@pytest.fixture
def repository(tmp_path: Path, new_repository: Callable[[Path], Path]) -> Iterator[Path]:
    """A repository with one commit, and not where the test runs; no keeper outlives the test."""
    path = new_repository(tmp_path / "repository")
    yield path
    keepers = path / ".git" / "frith" / "keepers"
    if keepers.is_dir():
        anyio.run(_end_keepers, path, {name.partition(".")[0] for name in os.listdir(keepers)})
        assert os.listdir(keepers) == []


async def _end_keepers(workspace: Path, session_ids: Collection[str]) -> None:
    async with open_spawner(KeeperOptions(), workspace) as spawner:
        for session_id in session_ids:
            session = Session(
                id=session_id,
                name="one",
                status=SessionStatus.ACTIVE,
                branch="feature/one",
                worktree_path=str(workspace),
                created_at=now(),
                last_activity=now(),
            )
            await spawner.sweep(session, 0)


@pytest.fixture
def on_pty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes end with the command that runs them."""
    monkeypatch.setenv("FRITH_TERMINAL", "pty")


@dataclass(frozen=True)
class Outcome:
    """What a run of the command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


Frith = Callable[..., Outcome]


@pytest.fixture
def frith(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Frith:
    """Run the command here, in the repository and without a terminal."""
    monkeypatch.chdir(repository)

    def call(*arguments: str) -> Outcome:
        capfd.readouterr()
        code = run(arguments)
        return Outcome(code, *capfd.readouterr())

    return call


class Terminal:
    """The command in a process of its own, on a terminal."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self._fd, child = os.openpty()
        self._process = subprocess.Popen(
            [*_COMMAND, *arguments],
            cwd=directory,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm"},
        )
        os.close(child)
        self.shown = b""

    def expect(self, text: bytes) -> None:
        """Wait until ``text`` is shown."""
        while text not in self.shown:
            assert self._read(), f"ended without {text!r}: {self.shown!r}"

    def type(self, text: bytes) -> None:
        """Type ``text``."""
        os.write(self._fd, text)

    def send_signal(self, number: int) -> None:
        """Send the command a signal."""
        self._process.send_signal(number)

    def ignores(self, number: int) -> bool:
        """Return whether the command ignores a signal."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        ignored = int(status.partition("SigIgn:")[2].split(maxsplit=1)[0], 16)
        return bool(ignored >> (number - 1) & 1)

    def end(self) -> int:
        """Wait until the command ends and return its exit code."""
        while self._read():
            pass
        return self._process.wait(PATIENCE)

    def hang_up(self) -> int:
        """Let the terminal go away; wait until the command ends and return its exit code."""
        os.close(self._fd)
        self._fd = -1
        return self._process.wait(PATIENCE)

    def _read(self) -> bytes:
        ready, _, _ = select.select([self._fd], [], [], PATIENCE)
        assert ready, f"nothing more is shown after {self.shown!r}"
        try:
            piece = os.read(self._fd, 65536)
        except OSError:  # EIO: the other end is closed
            return b""
        self.shown += piece
        return piece

    def close(self) -> None:
        """Kill the command and close the terminal."""
        self._process.kill()
        self._process.wait()
        if self._fd >= 0:
            os.close(self._fd)


OnTerminal = Callable[..., Terminal]


@pytest.fixture
def on_terminal(repository: Path) -> Iterator[OnTerminal]:
    """Start the command in the repository on a terminal; it is gone when the test ends."""
    started: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        started.append(Terminal(repository, *arguments))
        return started[-1]

    yield start
    for terminal in started:
        terminal.close()


def alive(pid: int) -> bool:
    """Return whether the process ``pid`` exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pid_of(frith: Frith, name: str = "one") -> int:
    """Return the process id of a session."""
    return int(frith("show", name, "--json").json["ptyPid"])


@pytest.fixture
def left(frith: Frith) -> int:
    """The process of a session called ``one`` that has no host and repeats what it reads."""
    assert frith("new", "one", "--detach", *WORK).code == 0
    return pid_of(frith)
