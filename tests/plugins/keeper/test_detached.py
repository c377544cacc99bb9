"""The modules that a keeper loads, and its independence of its host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from frith_keeper import zygote as zygote_module
from frith_os.processes import stat_of

LIST = "print(*(name.partition('.')[0] for name in sys.modules))"
ITS_OWN = ("/dev/null", "/dev/pt", "/memfd:", "socket:", "anon_inode:")


@pytest.fixture
def counted() -> None:
    """Nobody follows a keeper here: what it loads and has shall be all its own."""


def test_a_keeper_loads_the_standard_library_and_frith_os_only() -> None:
    program = zygote_module._PROGRAM.replace("main()", LIST)
    assert program != zygote_module._PROGRAM
    command = [sys.executable, "-I", "-S", "-c", program, *zygote_module._PATHS]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    foreign = set(loaded) - sys.stdlib_module_names - {"__main__"}
    assert foreign == {"keeper", "frith_os"}


async def test_a_keeper_has_no_descriptor_of_its_host(
    shell: Any, tmp_path: Path, keeper_of: Any, places: Path
) -> None:
    with (tmp_path / "open").open("w") as file:
        high = os.dup2(file.fileno(), 300)
        os.set_inheritable(file.fileno(), True)
        pipe = os.pipe()
        for fd in pipe:
            os.set_inheritable(fd, True)
        try:
            keeper = keeper_of(await shell("read line"))
        finally:
            for fd in (high, *pipe):
                os.close(fd)
    targets = [os.readlink(fd) for fd in Path(f"/proc/{keeper}/fd").iterdir()]
    foreign = [each for each in targets if not each.startswith(ITS_OWN)]
    # Its repository, here the workspace; where it will leave the output; where it is found.
    assert sorted(foreign) == sorted(map(str, (tmp_path, places.with_name("outputs"), places)))


async def test_hosts_that_left_leave_no_descriptor_in_a_keeper(
    shell: Any, other: Any, record: Any, keeper_of: Any
) -> None:
    terminal = await shell("read line")
    before = len(os.listdir(f"/proc/{keeper_of(terminal)}/fd"))
    for _ in range(5):
        async with other() as host:
            await host.adopt(record(terminal))
    await terminal.departed(4)
    assert len(os.listdir(f"/proc/{keeper_of(terminal)}/fd")) == before


async def test_a_keeper_has_no_directory_terminal_or_process_group_of_its_host(
    shell: Any, keeper_of: Any
) -> None:
    terminal = await shell("read line")
    keeper = keeper_of(terminal)
    assert os.readlink(f"/proc/{keeper}/cwd") == "/"
    fields = Path(f"/proc/{keeper}/stat").read_text().rpartition(")")[2].split()
    assert fields[4] == "0", "it has a controlling terminal"
    stat, ours, child = stat_of(keeper), stat_of(os.getpid()), stat_of(terminal.pid)
    assert stat is not None
    assert ours is not None
    assert child is not None
    assert ours.session != stat.session != keeper, "a leader could acquire a terminal"
    assert stat.group != ours.group
    assert stat.parent != os.getpid()
    assert child.parent == keeper


@pytest.mark.parametrize("name", ["SECRET", "PYTHONPATH", "FRITH_SESSION_ID"])
async def test_a_keeper_has_no_variable_of_its_host_or_command(
    shell: Any, keeper_of: Any, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    monkeypatch.setenv(name, "/of the host")
    keeper = keeper_of(await shell("read line", env={"TOKEN": "of the command"}))
    entries = Path(f"/proc/{keeper}/environ").read_bytes().split(b"\0")
    names = {entry.partition(b"=")[0] for entry in entries}
    assert names == {b"", b"LD_LIBRARY_PATH", b"FRITH_KEEPER"}
    assert b"of the command" not in Path(f"/proc/{keeper}/cmdline").read_bytes()


async def test_a_keeper_is_called_frith_keeper_in_lists_of_processes(
    shell: Any, keeper_of: Any
) -> None:
    keeper = keeper_of(await shell("read line"))
    assert Path(f"/proc/{keeper}/comm").read_text() == "frith-keeper\n"
