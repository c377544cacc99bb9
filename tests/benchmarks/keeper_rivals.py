"""The same work through `frith`, tmux and dtach: a client in a terminal, as a user has it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import anyio
from terminal_programs import BLOCKS, ECHO, FLOOD, BareEcho, bare_spawn, python, until_ready

from frith import ManagerConfig, SessionManager

Row = tuple[str, float, str]

ROUNDS = 7
ECHOES = 200
MANY = 20
TICKS = ("sh", "-c", "while :; do echo tick; sleep 0.001; done")
FLOODS = python(f'{FLOOD}\nos.write(1, b"END")\nos.read(0, 1)', "cooked", str(BLOCKS))
_SEQUENCE = re.compile(rb"\x1b[^a-zA-Z]*[a-zA-Z]")


class Tool(ABC):
    """Something that keeps a process running without a terminal of the user's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def start(self, session: str, command: tuple[str, ...]) -> None:
        """Start ``command``, with nobody attached."""

    @abstractmethod
    def attaching(self, session: str) -> tuple[str, ...]:
        """Return the command that attaches to a session."""

    @abstractmethod
    def end(self, session: str) -> None:
        """End a session."""

    @abstractmethod
    def keeps(self, process: Path) -> bool:
        """Tell whether a process, named by its directory in /proc, keeps a session."""

    def memory(self) -> float:
        """Return the proportional set size of all that keeps sessions, in MiB."""
        total = 0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self.keeps(process):
                    text = (process / "smaps_rollup").read_text()
                    total += int(re.findall(r"^Pss: +(\d+)", text, re.MULTILINE)[0])
        return total / 1024


class Frith(Tool):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "repository")
        self.directory.mkdir()
        self._config = ManagerConfig(workspace=self.directory, terminal="keeper", max_sessions=99)
        self._ids: dict[str, str] = {}
        who = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
        for arguments in (("init", "-q"), (*who, "commit", "-q", "--allow-empty", "-m", "start")):
            subprocess.run(("git", *arguments), cwd=self.directory, check=True)

    def start(self, session: str, command: tuple[str, ...]) -> None:
        async def create() -> None:
            async with SessionManager(self._config) as manager:
                created = await manager.create_session(command=list(command))
                self._ids[session] = created.id

        anyio.run(create)

    def attaching(self, session: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "frith_cli", "attach", self._ids[session])

    def end(self, session: str) -> None:
        async def destroy() -> None:
            async with SessionManager(self._config, restore=False) as manager:
                await manager.destroy_session(self._ids.pop(session), cleanup=True, force=True)

        anyio.run(destroy)

    def keeps(self, process: Path) -> bool:
        return b"keeper.main" in (process / "cmdline").read_bytes()


class Foreign(Tool):
    """Another tool: it has a socket for each session."""

    name: str

    def socket(self, session: str) -> str:
        return str(self.directory / f"{self.name}.{session}")

    def start(self, session: str, command: tuple[str, ...]) -> None:
        subprocess.run(self.starting(session, command), check=True)

    @abstractmethod
    def starting(self, session: str, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that starts ``command``."""

    def end(self, session: str) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self._is(process, self.socket(session)):
                    os.kill(int(process.name), signal.SIGTERM)

    def keeps(self, process: Path) -> bool:
        return self._is(process, str(self.directory))

    def _is(self, process: Path, marked: str) -> bool:
        return (process / "comm").read_text().startswith(self.name) and (
            marked.encode() in (process / "cmdline").read_bytes()
        )


class Tmux(Foreign):
    name = "tmux"

    def socket(self, session: str) -> str:
        return str(self.directory / self.name)  # one server for all

    def starting(self, session: str, command: tuple[str, ...]) -> tuple[str, ...]:
        return (*self._tmux(session), "new", "-d", "-x80", "-y24", "-s", session, *command)

    def attaching(self, session: str) -> tuple[str, ...]:
        return (*self._tmux(session), "attach", "-t", session)

    def end(self, session: str) -> None:
        subprocess.run((*self._tmux(session), "kill-session", "-t", session), check=True)

    def _tmux(self, session: str) -> tuple[str, ...]:
        return ("tmux", "-f", "/dev/null", "-S", self.socket(session))


class Dtach(Foreign):
    name = "dtach"

    def starting(self, session: str, command: tuple[str, ...]) -> tuple[str, ...]:
        return ("dtach", "-n", self.socket(session), *command)

    def attaching(self, session: str) -> tuple[str, ...]:
        return ("dtach", "-a", self.socket(session), "-r", "none")


class Client:
    """A client in a terminal."""

    def __init__(self, command: tuple[str, ...], directory: Path) -> None:
        unset = ("-u", "TMUX", "-u", "PYTHONDONTWRITEBYTECODE")
        plain = ("env", *unset, "-C", str(directory), "TERM=xterm")
        self._pid, self._master = bare_spawn(*plain, *command)

    def read(self) -> bytes:
        return os.read(self._master, 65536)

    def type(self, data: bytes) -> None:
        os.write(self._master, data)

    def until(self, marker: bytes) -> None:
        seen = b""
        while marker not in seen:
            seen = seen[-len(marker) :] + self.read()

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.close(self._master)
        os.waitpid(self._pid, 0)


def side_by_side(directory: Path) -> Iterator[Row]:
    """Yield a row for each tool and each kind of work."""
    tools: dict[str, Tool] = {"frith attach": Frith(directory)}
    tools |= {
        kind.name: kind(directory) for kind in (Tmux, Dtach) if shutil.which(kind.name) is not None
    }
    bare = BareEcho()
    for name, tool in tools.items():
        yield f"{name}: echo of one byte, p50", echo(tool, bare), "x write and read"
    bare.close()
    for name, tool in tools.items():
        yield f"{name}: until the output is there", attach(tool) * 1e3, "ms"
    for name, tool in tools.items():
        yield f"{name}: throughput, cooked", throughput(tool), "x read"
    for name, tool in tools.items():
        yield f"{name}: memory of one of {MANY} sessions", memory(tool), "MiB proportional"


@contextmanager
def session(tool: Tool, command: tuple[str, ...], name: str = "s") -> Iterator[str]:
    tool.start(name, command)
    try:
        yield name
    finally:
        tool.end(name)


def echo(tool: Tool, bare: BareEcho) -> float:
    values = []
    with (
        session(tool, ECHO) as name,
        closing(Client(tool.attaching(name), tool.directory)) as client,
    ):
        time.sleep(1)  # dtach shows nothing of what was there before
        for number in range(ECHOES):
            letter = b"xy"[number % 2 : number % 2 + 1]
            reference, started = bare.once(), time.perf_counter()
            client.type(letter)
            while letter not in _SEQUENCE.sub(b"", client.read()):
                pass
            values.append((time.perf_counter() - started) / reference)
    return statistics.median(values)


def attach(tool: Tool) -> float:
    took = []
    with session(tool, TICKS) as name:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            with closing(Client(tool.attaching(name), tool.directory)) as client:
                client.until(b"tick")
                took.append(time.perf_counter() - started)
    return statistics.median(took)


def throughput(tool: Tool) -> float:
    ratios = []
    for _ in range(ROUNDS):
        with closing(Client(FLOODS, tool.directory)) as client:
            until_ready(client.read)
            bare = flood(client)
        with (
            session(tool, FLOODS) as name,
            closing(Client(tool.attaching(name), tool.directory)) as client,
        ):
            time.sleep(1)
            ratios.append(bare / flood(client))
    return statistics.median(ratios)


def flood(client: Client) -> float:
    started = time.perf_counter()
    client.type(b"\n")
    client.until(b"END")
    return time.perf_counter() - started


def memory(tool: Tool) -> float:
    names = [f"s{number}" for number in range(MANY)]
    before = tool.memory()
    for name in names:
        tool.start(name, ("sleep", "1000"))
    used = tool.memory() - before
    for name in names:
        tool.end(name)
    return used / MANY
