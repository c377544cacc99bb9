"""A keeper leaves the control group of another session, in which its host may have started it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import frith_os

LEAVE = """
import sys
sys.path.insert(0, sys.argv[1])
from frith_os.cgroups import leave_group_of_a_terminal
with open(sys.argv[2] + "/cgroup.procs", "w") as file:
    file.write("0")
leave_group_of_a_terminal()
print(next(line for line in open("/proc/self/cgroup") if line.startswith("0::")).strip())
"""


@pytest.fixture
def around() -> Iterator[Path]:
    """The control group of a host."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        mounted = next(line.split()[4] for line in mounts if " - cgroup2 " in line)
        group = Path(mounted) / f"test-keeper-{os.getpid()}"
        group.mkdir()
    except (OSError, StopIteration):
        pytest.skip("no control groups (version 2), or they may not be made here")
    yield group
    for path in (*group.glob("*/"), group):
        path.rmdir()


@pytest.mark.parametrize(
    ("name", "stays"),
    [(f"frith-{uuid4().hex}", False), ("frith-web.service", True), ("x", True)],
    ids=["of a terminal", "of a service", "another"],
)
def test_only_the_control_group_of_a_terminal_is_left(around: Path, name: str, stays: bool) -> None:
    group = around / name
    group.mkdir()
    home = str(Path(frith_os.__file__).parent.parent)
    command = [sys.executable, "-I", "-S", "-c", LEAVE, home, str(group)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert found.endswith(f"/{around.name}/{name}" if stays else f"/{around.name}")
