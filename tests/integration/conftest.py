"""Real repositories, and real hosts in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("host.py")


class Refused(Exception):  # noqa: N818 - an answer of the host, not a failure of the test
    """The host refused a call, with the code and message of the error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class HostGoneError(Exception):
    """The host ended before it answered."""


class Host:
    """A host in a process of its own."""

    Gone = HostGoneError

    def __init__(
        self,
        workspace: Path,
        *,
        backend: str = "asyncio",
        limit: int = 4,
        terminal: str = "pty",
        prefix: tuple[str, ...] = (),
    ) -> None:
        arguments = [str(SCRIPT), str(workspace), backend, str(limit), terminal]
        command = [*prefix, sys.executable, *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._restored: list[dict[str, Any]] | None = None

    @property
    def restored(self) -> list[dict[str, Any]]:
        """The sessions that the host has restored; waits until it has."""
        if self._restored is None:
            self._restored = self._answer()
        return self._restored

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            raise HostGoneError(self.process.wait())
        return json.loads(line)

    def all_at_once(self, *calls: tuple[str, list[Any], dict[str, Any]]) -> list[list[Any]]:
        """Make ``calls`` concurrently and return their outcomes, each ``[value, error]``."""
        assert self.restored is not None
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(calls) + "\n")
            self.process.stdin.flush()
        outcomes: list[list[Any]] = self._answer()
        return outcomes

    def call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a method of the host's manager; an error raises :class:`Refused`."""
        value, error = self.all_at_once((method, list(arguments), keywords))[0]
        if error is not None:
            raise Refused(*error)
        return value

    def kill(self) -> None:
        """Kill the host with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> int:
        """Close the host and return its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait()

    def close(self) -> None:
        """Kill the host and release its process."""
        self.process.kill()
        with suppress(BrokenPipeError):
            self.process.__exit__(None, None, None)


@pytest.fixture
def backend() -> str:
    """The event loop of the hosts; tests that need both are parametrized with it."""
    return "asyncio"


@pytest.fixture
def start_host(backend: str, workspace: Path) -> Iterator[Callable[..., Host]]:
    """Start hosts of the workspace, which are killed when the test ends."""
    started: list[Host] = []

    def start(where: Path = workspace, **options: Any) -> Host:
        started.append(Host(where, **{"backend": backend, **options}))
        return started[-1]

    yield start
    for host in started:
        host.close()


@pytest.fixture
def left(workspace: Path) -> Iterator[Callable[[], set[int]]]:
    """Return the processes of sessions and their keepers; kill them when the test ends."""

    def found() -> set[int]:
        pids = set()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (process / "environ").read_bytes():
                    pids.add(int(process.name))
                    parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                    if b"keeper.main" in Path(f"/proc/{parent}/cmdline").read_bytes():
                        pids.add(parent)
        return pids

    mark = f"FRITH_WORKSPACE={workspace}\0".encode()
    yield found
    for pid in found():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def git(clean_git: None) -> Callable[..., str]:
    """Run git in a directory and return its output."""

    def run(where: Path, *arguments: str) -> str:
        command = ["git", "-C", str(where), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture
def workspace(tmp_path: Path, clean_git: None, new_repository: Callable[[Path], Path]) -> Path:
    """A repository with one commit."""
    return new_repository(tmp_path / "workspace")
