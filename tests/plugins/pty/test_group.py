"""Control groups of terminals, in a group that a test delegates to a host."""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from frith_os.cgroups import mount_point
from frith_pty import cgroup
from waiting import TO_RUN

HOST = """
import sys
from pathlib import Path
import anyio
from frith.ports import SpawnRequest
from frith_pty.spawner import open_spawner
from frith_terminals.options import TerminalOptions

backend, group, file, script = sys.argv[1:]
(Path(group) / "cgroup.procs").write_text("0")

async def main():
    async with open_spawner(TerminalOptions(), "/") as spawner:
        terminal = await spawner.spawn(SpawnRequest("session", ("sh", "-c", script), "/", "/"))
        pid = (await anyio.open_file(file)).wrapped.readline().strip()
        print(pid, Path(f"/proc/{pid}/cgroup").read_text().split("0::")[1].strip(), flush=True)
        await terminal.terminate(0)

anyio.run(main, backend=backend)
"""
NESTED = """
import sys
from pathlib import Path
import anyio
import frith_keeper
from frith.ports import SpawnRequest
from frith_testing.harness.opening import Context

workspace, file = sys.argv[1:]

async def main():
    (spec,) = frith_keeper.frith_providers()
    async with spec.factory(spec.config(), Context(Path(workspace))) as spawner:
        terminal = await spawner.spawn(SpawnRequest("inner", ("sleep", "1000"), "/", workspace))
        print(terminal.pid, file=open(file, "w"), flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""
ESCAPES = "sleep 0.1; env -i setsid sh -c 'echo $$ >{file}; exec sleep 1000' & wait"


@pytest.fixture
def delegated(tmp_path: Path) -> Iterator[Path]:
    """A control group in which a host may make others."""
    try:
        group = Path(mount_point()) / f"test-{os.getpid()}-{tmp_path.name}"
        group.mkdir()
    except (OSError, StopIteration):
        pytest.skip("no control groups (version 2), or they may not be made here")
    try:
        if not os.geteuid():
            os.setxattr(group, "trusted.delegate", b"1")
        yield group
    finally:
        for path in (*group.glob("frith-*"), group):
            path.rmdir()


@pytest.fixture
def host(delegated: Path, tmp_path: Path, anyio_backend: str) -> list[str]:
    """The command of a host that starts and terminates what escapes."""
    file = tmp_path / "escaped"
    os.mkfifo(file)
    script = ESCAPES.format(file=file)
    return [sys.executable, "-c", HOST, anyio_backend, str(delegated), str(file), script]


def is_gone(pid: str) -> bool:
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


@pytest.mark.requirement("R7.5")
def test_terminating_ends_a_process_that_left_the_session_and_cleared_its_environment(
    host: list[str], delegated: Path
) -> None:
    output = subprocess.run(host, capture_output=True, text=True, timeout=TO_RUN, check=True).stdout
    pid, path = output.split()
    assert f"/{delegated.name}/frith-" in path
    assert is_gone(pid)
    assert list(delegated.glob("frith-*")) == []


def test_a_keeper_that_is_started_from_inside_outlives_the_control_group_of_its_starter(
    host: list[str], delegated: Path, tmp_path: Path
) -> None:
    nested = [sys.executable, "-c", NESTED, str(tmp_path), host[-2]]
    command = [*host[:-1], f"exec {shlex.join(nested)}"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=TO_RUN, check=True)
    pid, path = output.stdout.split()
    keeper = re.search(r"\nPPid:\t(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert keeper is not None
    try:
        assert path.endswith(delegated.name), "its group is not that of the session around it"
        assert not is_gone(pid)
        assert not is_gone(keeper[1])
    finally:
        for process in (keeper[1], pid):
            fd = os.pidfd_open(int(process))
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            assert select.select([fd], [], [], 10)[0]
            os.close(fd)


def test_without_delegation_there_are_no_groups(host: list[str], delegated: Path) -> None:
    if os.geteuid():
        pytest.skip("only root may write where nothing was delegated")
    os.removexattr(delegated, "trusted.delegate")
    output = subprocess.run(host, capture_output=True, text=True, timeout=TO_RUN, check=True).stdout
    pid, path = output.split()
    fd = os.pidfd_open(int(pid))
    signal.pidfd_send_signal(fd, signal.SIGKILL)
    assert select.select([fd], [], [], 10)[0]
    os.close(fd)
    assert path.endswith(delegated.name)


def test_an_empty_control_group_of_a_dead_host_is_removed(
    delegated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "_own", lambda: (str(delegated), f"/{delegated.name}"))
    left, young = delegated / "frith-left", delegated / "frith-young"
    for path in (left, young):
        path.mkdir()
    os.utime(left, (0, 0))
    with subprocess.Popen(["sleep", "1000"]) as process:
        group = cgroup.Group.with_process(process.pid, "new")
        assert group is not None
        assert not left.exists()
        assert young.exists()
        group.remove()
        assert group.holds(process.pid)
        group.kill()
    group.remove()
    assert [path.name for path in delegated.glob("frith-*")] == ["frith-young"]


def test_a_terminal_without_a_control_group_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "_own", lambda: ("/proc/nowhere", "/nowhere"))
    assert cgroup.Group.with_process(os.getpid(), "new") is None
