"""Real keepers, and the promise that each test keeps: none of them is left, nor a process."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import anyio
import pytest

import frith_keeper
from frith.model import Session
from frith.ports import Attachment, Chunk, SpawnRequest, Terminal, TerminalSpawner
from frith_keeper import finding as finding_module
from frith_keeper import zygote as zygote_module
from frith_testing.harness.opening import Context
from frith_testing.harness.samples import a_session
from waiting import PATIENCE, wait_until

HOST = Path(__file__).with_name("host.py")


class Opener(Protocol):
    def __call__(self, **options: Any) -> AbstractAsyncContextManager[TerminalSpawner]: ...


Shell = Callable[..., Awaitable[Terminal]]


class Transcript:
    """Everything that a viewer has seen so far."""

    def __init__(self, view: Attachment) -> None:
        self.view = view
        self.seen = view.snapshot

    async def until(self, marker: bytes) -> bytes:
        with anyio.fail_after(PATIENCE):
            while marker not in self.seen:
                item = await anext(self.view.__aiter__())
                assert isinstance(item, Chunk), item
                self.seen += item.data
        return self.seen


async def see(terminal: Terminal, marker: bytes) -> bytes:
    """Wait until ``terminal`` has written ``marker``; return all that it has."""
    async with terminal.attach() as view:
        return await Transcript(view).until(marker)


async def everything(terminal: Terminal) -> bytes:
    """Return all that ``terminal`` has kept when it is drained."""
    with anyio.fail_after(PATIENCE):
        await terminal.drained()
    async with terminal.attach() as view:
        return view.snapshot


class Keepers:
    """The keepers and the processes of one test.

    A keeper has nothing of its host's environment but ``LD_LIBRARY_PATH``: by that it is known.
    """

    def __init__(self, mark: str, workspace: Path) -> None:
        self._mark = f"LD_LIBRARY_PATH={mark}".encode()
        self._workspace = f"FRITH_WORKSPACE={workspace}".encode()

    def living(self) -> set[int]:
        return {
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if _read(process / "comm") == b"frith-keeper\n"
            and self._mark in _read(process / "environ").split(b"\0")
        }

    def processes(self) -> set[int]:
        return {
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if self._workspace in _read(process / "environ").split(b"\0")
        }

    def left(self) -> set[int]:
        """Return what is left, once whatever is just leaving has done so."""
        with suppress(TimeoutError):
            wait_until(lambda: not (self.living() | self.processes()))
        return self.living() | self.processes()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have coverage follow keepers too: they load no site, in which it would start itself."""
    variables = [name for name in os.environ if name.startswith("COVERAGE_PROCESS_")]
    if variables:
        start = "import sys; sys.path.append({!r}); import coverage; coverage.process_startup(); "
        program = start.format(sysconfig.get_path("purelib")) + zygote_module._PROGRAM
        monkeypatch.setattr(zygote_module, "_PROGRAM", program)
        monkeypatch.setattr(zygote_module, "_KEPT", (*zygote_module._KEPT, *variables))


@pytest.fixture(autouse=True)
def found_again_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper whose socket was removed may take its time to listen anew."""
    monkeypatch.setattr(finding_module, "_FOUND_AGAIN", PATIENCE)


@pytest.fixture(autouse=True)
def keepers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Keepers]:
    mark = ":".join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), f"/nowhere/{uuid4()}"]))
    monkeypatch.setenv("LD_LIBRARY_PATH", mark)
    keepers = Keepers(mark, tmp_path)
    yield keepers
    left = keepers.left()
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert left == set()


@pytest.fixture
def session() -> Session:
    """The session of the test, as recorded before it has a process."""
    return a_session()


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Where the keepers are found."""
    return tmp_path / ".frith" / "keepers"


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Opens the provider through its entry point, as a manager does; each time another host."""
    (spec,) = frith_keeper.frith_providers()

    def open_with(**options: Any) -> AbstractAsyncContextManager[TerminalSpawner]:
        return spec.factory(spec.config(**options), Context(tmp_path))

    return open_with


@pytest.fixture
async def spawner(
    opened: Opener, session: Session, keepers: Keepers
) -> AsyncIterator[TerminalSpawner]:
    """A host; whatever the session has in the end is swept."""
    async with opened() as spawner:
        yield spawner
    async with opened() as fresh:
        await fresh.sweep(session, 0)


@pytest.fixture
def other(spawner: TerminalSpawner, opened: Opener) -> Opener:
    """Opens another host while :func:`spawner` is there, which sweeps later."""
    return opened


@pytest.fixture
def request_for(tmp_path: Path, session: Session) -> Callable[..., SpawnRequest]:
    def build(*command: str, **fields: Any) -> SpawnRequest:
        return SpawnRequest(
            **{
                "session_id": session.id,
                "command": command,
                "cwd": str(tmp_path),
                "workspace": str(tmp_path),
                **fields,
            }
        )

    return build


@pytest.fixture
def shell(spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest]) -> Shell:
    """Starts a script in ``sh``; ``of`` is the host, if not the fixture's."""

    async def start(script: str, of: TerminalSpawner = spawner, **fields: Any) -> Terminal:
        return await of.spawn(request_for("sh", "-c", script, **fields))

    return start


@pytest.fixture
def record(session: Session) -> Callable[[Terminal], Session]:
    """Returns the session as a host records it while a terminal runs its process."""

    def recorded(terminal: Terminal) -> Session:
        return session.evolve(pty_pid=terminal.pid).detail(terminal_ref=terminal.ref)

    return recorded


@pytest.fixture
def keeper_of() -> Callable[[Terminal], int]:
    """Returns the process id of a terminal's keeper."""
    return lambda terminal: int(str(terminal.ref["keeper"]))


class Host:
    """A host in a process of its own, with a controlling terminal, that has started a script.

    ``before`` is what a shell does before it becomes the host.
    """

    def __init__(self, workspace: Path, session: Session, script: str, before: str) -> None:
        self.terminal, slave = os.openpty()
        program = f'{before}\nexec "$0" "$@"'
        self.process = subprocess.Popen(
            ["sh", "-c", program, sys.executable, HOST, workspace, session.id, script],
            stdin=slave,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        os.close(slave)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.pid, ref = json.loads(line)
        self.session = session.evolve(pty_pid=self.pid).detail(terminal_ref=ref)
        self.keeper = int(ref["keeper"])

    def gone(self) -> None:
        """Wait until it has ended."""
        self.process.wait(PATIENCE)

    def hang_up(self) -> None:
        """Close its terminal, as when a window is closed or a connection breaks."""
        if self.terminal >= 0:
            os.close(self.terminal)
            self.terminal = -1

    def close(self) -> None:
        self.process.kill()
        self.process.__exit__(None, None, None)
        self.hang_up()


@pytest.fixture
def start_host(
    tmp_path: Path, session: Session, spawner: TerminalSpawner
) -> Iterator[Callable[..., Host]]:
    started = []

    def start(script: str, before: str = "") -> Host:
        started.append(Host(tmp_path, session, script, before))
        return started[-1]

    yield start
    for host in started:
        host.close()


def until_gone(pid: int) -> None:
    """Wait until a process has ended, which need not be a child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([fd], [], [], PATIENCE)
        assert ready, f"process {pid} runs on"
    finally:
        os.close(fd)


def patient(terminal: Any) -> Any:
    """Have the host wait for the answers of the keeper of ``terminal`` from now on."""
    terminal._link._answer_within = PATIENCE
    return terminal


def patient_once_woken(terminal: Any) -> Any:
    """As :func:`patient`, from when the host has woken the keeper."""
    link = terminal._link
    wake = link._wake

    def woken() -> object:
        patient(terminal)
        for answer in link._answers.values():
            answer.deadline += PATIENCE
        return wake()

    link._wake = woken
    return terminal


@pytest.fixture
def tools() -> type[Tools]:
    return Tools


class Tools:
    """What tests need besides fixtures; a conftest cannot be imported."""

    patience = PATIENCE
    transcript = Transcript
    see = staticmethod(see)
    everything = staticmethod(everything)
    until_gone = staticmethod(until_gone)
    patient = staticmethod(patient)
    patient_once_woken = staticmethod(patient_once_woken)
