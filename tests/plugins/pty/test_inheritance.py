"""Descriptors and signals that a process does not inherit from its host."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from frith.ports import SpawnRequest, TerminalSpawner
from frith_pty import posix_spawn

LIST = "ls /proc/$$/fd; :"
STATUS = "/proc/self/status"
IGNORABLE = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD})
OF_THE_C_LIBRARY = 1 << 31 | 1 << 32
"""Signals 32 and 33, which no program sets and glibc's own posix_spawn leaves ignored."""


@pytest.fixture
def inheritable() -> Any:
    """Descriptors of the host that any exec would pass on."""
    fds = [fd for pair in (os.pipe(), os.pipe()) for fd in pair]
    fds.append(os.dup2(fds[0], 200))
    for fd in fds:
        os.set_inheritable(fd, True)
    yield fds
    for fd in fds:
        os.close(fd)


@pytest.mark.requirement("R7.2")
@pytest.mark.usefixtures("inheritable")
async def test_no_descriptor_is_inherited_where_the_c_library_has_no_closefrom(
    opened: Any,
    request_for: Callable[..., SpawnRequest],
    output_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    init = posix_spawn.PosixSpawn.__init__

    def without_closefrom(self: posix_spawn.PosixSpawn) -> None:
        init(self)
        self._has_closefrom = False

    monkeypatch.setattr(posix_spawn.PosixSpawn, "__init__", without_closefrom)
    async with opened() as spawner:
        terminal = await spawner.spawn(request_for("sh", "-c", LIST))
        assert (await output_of(terminal)).split() == [b"0", b"1", b"2"]


async def test_children_of_the_host_inherit_no_master_end(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest]
) -> None:
    await spawner.spawn(request_for("cat"))
    ends = [
        int(fd)
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
        and os.readlink(f"/proc/self/fd/{fd}").startswith(("/dev/ptmx", "/dev/pts/ptmx"))
    ]
    assert ends
    assert not any(os.get_inheritable(fd) for fd in ends)


async def test_a_reader_that_goes_away_ends_a_pipeline(shell: Any) -> None:
    # Python ignores SIGPIPE; inherited, `yes` would complain and report a failure.
    terminal = await shell("yes | head -n 1 >/dev/null; echo done")
    assert (await terminal.exited()).code == 0
