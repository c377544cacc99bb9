"""SIGKILL of a host at random moments while its sessions write numbered lines.

``FRITH_KILLS=500 FRITH_SESSIONS=20 FRITH_SEED=7 pytest tests/integration/test_keeper.py`` is
the long version, at the moments that an earlier run with that seed chose.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from waiting import PATIENCE, pass_time

pytestmark = pytest.mark.expensive("starts hosts, each a process of its own")

KILLS = int(os.environ.get("FRITH_KILLS", "4"))
SESSIONS = int(os.environ.get("FRITH_SESSIONS", "4"))
SEED = int(os.environ.get("FRITH_SEED", str(time.time_ns() % 1_000_000)))
SCRIPT = Path(__file__).with_name("keeping.py")
LATEST = 1.2
"""Seconds after the start within which some hosts are killed, even while they start and adopt. The
others are killed shortly after, so that the output fits in the scrollback."""
LINES = """
i=0
while ! [ -e "$FRITH_WORKSPACE/.git/stop" ]; do
    j=$((i + 100))
    while [ $i -lt $j ]; do echo line $i; i=$((i+1)); done
    sleep 0.05
done
echo end
"""


Left = Callable[[], set[int]]


class Host:
    """A host in a process of its own."""

    def __init__(self, workspace: Path, backend: str) -> None:
        command = [sys.executable, str(SCRIPT), str(workspace), backend, str(SESSIONS), LINES]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def answer(self) -> object:
        """Return its next answer, ``None`` if it ended before."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.process.kill()
        self.process.__exit__(None, None, None)


@pytest.fixture
def start(workspace: Path, backend: str, left: Left) -> Iterator[Callable[[], Host]]:
    """Start hosts one after the other."""
    hosts: list[Host] = []

    def begin() -> Host:
        hosts.append(Host(workspace, backend))
        return hosts[-1]

    yield begin
    for host in hosts:
        host.close()


def numbered(data: bytes) -> list[str]:
    return data.decode().split("\r\n")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.timeout(300 + 10 * KILLS)
@pytest.mark.requirement("R4.2")
@pytest.mark.requirement("R7.2")
def test_the_next_host_adopts_every_process_and_all_output_of_a_killed_host(
    start: Callable[[], Host], workspace: Path, left: Left
) -> None:
    print(f"FRITH_KILLS={KILLS} FRITH_SESSIONS={SESSIONS} FRITH_SEED={SEED}")
    chance = random.Random(SEED)
    host = start()
    begun = host.answer()
    assert isinstance(begun, list)
    assert [status for *_, status in begun] == ["active"] * SESSIONS
    host.kill()
    for _ in range(KILLS):
        host = start()
        if chance.random() < 0.3:
            pass_time(chance, LATEST)
        else:
            assert host.answer() == begun
            pass_time(chance, LATEST / 4)
        host.kill()
        assert host.answer() in (None, begun)
    host = start()
    assert host.answer() == begun
    (workspace / ".git" / "stop").touch()
    assert host.answer() == "end"
    assert host.process.wait(PATIENCE) == 0
    for session_id, *_ in begun:
        *lines, end, nothing = numbered(
            workspace.with_name("workspace.seen").joinpath(session_id).read_bytes()
        )
        assert (end, nothing) == ("end", "")
        assert lines == [f"line {number}" for number in range(len(lines))]
        assert len(lines) >= 100
    keepers = [keeper for _, _, keeper, _ in begun]
    assert left() == set()
    assert list((workspace / ".git" / "frith" / "keepers").iterdir()) == []
    assert not any(runs(keeper) for keeper in keepers)


def runs(pid: int) -> bool:
    with suppress(OSError):
        return b"keeper.main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
