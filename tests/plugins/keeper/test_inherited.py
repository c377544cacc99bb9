"""What keeper and command inherit: each line of the table in docs/explanation/keepers.md."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PEACE = "echo ready; exec sleep 1000"
OF_THE_C_LIBRARY = 1 << 31 | 1 << 32
"""Signals 32 and 33, which no program sets and glibc's own posix_spawn leaves ignored."""

BEYOND = """
import os, resource, sys
os.dup2(os.open("/etc/passwd", os.O_RDONLY), 90)
resource.setrlimit(resource.RLIMIT_NOFILE, (60, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
os.execvp(sys.argv[1], sys.argv[1:])
"""

Start = Callable[..., Any]


def status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (value,) = (line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))
    return value


def limits(pid: int) -> dict[str, tuple[str, str]]:
    """Return the soft and the hard limit of each kind."""
    rows = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    cells = [(row[:26].strip(), row[26:].split()) for row in rows]
    return {name: (soft, hard) for name, (soft, hard, *_) in cells}


def niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def io_class(pid: int) -> str:
    return subprocess.check_output(["ionice", "-p", str(pid)], text=True)


def oom_score_adj(pid: int) -> str:
    return Path(f"/proc/{pid}/oom_score_adj").read_text()


def signals(pid: int, kind: str) -> int:
    return int(status(pid, kind), 16)


def descriptors(pid: int) -> list[str]:
    return [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]


def link(name: str) -> Callable[[int], str]:
    return lambda pid: os.readlink(f"/proc/{pid}/{name}")


async def test_the_umask_is_the_callers_for_the_command_only(start_host: Start) -> None:
    host = start_host(PEACE, "umask 027")
    assert status(host.keeper, "Umask") == "0077"
    assert status(host.pid, "Umask") == "0027"


async def test_the_limits_are_the_callers_for_the_command_only(start_host: Start) -> None:
    soft = "ulimit -S -n 100; ulimit -S -c 8; ulimit -S -t 500; ulimit -S -s 1000"
    host = start_host(PEACE, f"ulimit -H -c 16; ulimit -H -t 900; {soft}")
    ours, its = limits(host.keeper), limits(host.pid)
    assert its == limits(host.process.pid)
    assert its["Max open files"][0] == "100"
    raised = ("Max open files", "Max file size", "Max cpu time", "Max address space")
    for name in (*raised, "Max data size"):
        assert set(ours[name]) == {its[name][1]}, name
    assert ours["Max core file size"] == ("0", its["Max core file size"][1])
    assert ours["Max stack size"] == its["Max stack size"]


async def test_a_limit_of_file_sizes_is_the_commands_only(
    start_host: Start, spawner: Any, tools: Any
) -> None:
    # The ring of a keeper is a file in memory, and larger.
    script = 'echo ready; head -c 9000 /dev/zero >written; echo "ended with $?"; sleep 1000'
    host = start_host(script, "ulimit -S -f 8")
    terminal = await spawner.adopt(host.session)
    await tools.see(terminal, b"ended with 153")
    assert limits(host.pid)["Max file size"][0] == "4096"


async def test_a_descriptor_beyond_the_limit_is_inherited_by_neither(start_host: Start) -> None:
    host = start_host(PEACE, f'exec {sys.executable} -c {shlex.quote(BEYOND)} "$0" "$@"')
    assert "/etc/passwd" in descriptors(host.process.pid)
    for pid in (host.keeper, host.pid):
        assert "/etc/passwd" not in descriptors(pid)
    assert descriptors(host.pid) == [link("fd/0")(host.pid)] * 3


async def test_signals_are_reset(start_host: Start) -> None:
    host = start_host(PEACE, 'trap \'\' USR2; exec env --block-signal=TERM "$0" "$@"')
    usr2, term = (1 << number - 1 for number in (signal.SIGUSR2, signal.SIGTERM))
    assert signals(host.process.pid, "SigIgn") & usr2
    assert signals(host.process.pid, "SigBlk") & term
    for pid in (host.keeper, host.pid):
        assert not signals(pid, "SigIgn") & usr2
        assert not signals(pid, "SigBlk")
    assert not signals(host.pid, "SigIgn") & ~OF_THE_C_LIBRARY


@pytest.mark.parametrize(
    ("attribute", "before"),
    [
        (niceness, "renice -n 13 $$"),
        (io_class, "ionice -c 3 -p $$"),
        (oom_score_adj, "echo 300 >/proc/self/oom_score_adj"),
        (os.sched_getaffinity, "taskset -p 1 $$"),
        (lambda pid: status(pid, "Groups"), ""),
        (link("root"), ""),
        (link("ns/mnt"), ""),
        (lambda pid: status(pid, "Uid"), ""),
    ],
    ids=["nice", "ionice", "oom", "affinity", "groups", "root", "mounts", "user"],
)
async def test_keeper_and_command_have_the_callers(
    start_host: Start, attribute: Callable[[int], object], before: str
) -> None:
    if before and shutil.which(before.split()[0]) is None:
        pytest.skip(f"no {before.split()[0]}")
    host = start_host(PEACE, f"{before} >&2" if "/proc" not in before else before)
    assert attribute(host.keeper) == attribute(host.pid) == attribute(host.process.pid)
    if before:
        assert attribute(host.pid) != attribute(os.getpid())
