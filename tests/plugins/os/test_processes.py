"""Processes as /proc shows them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from frith_os import processes as _processes
from frith_terminals import ending as _ending
from waiting import wait_until

NOBODY = 2**22 + 1
"""More than any process id can be; see proc_sys_kernel(5), pid_max."""


def test_a_process_that_does_not_exist_has_no_properties() -> None:
    assert _processes.stat_of(NOBODY) is None
    assert _processes.environ_of(NOBODY) is None
    assert not _processes.ignores(NOBODY, signal.SIGTERM)
    assert _processes.matching(lambda pid: True, [NOBODY]) == []


def test_the_name_of_a_command_may_contain_anything(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b c"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "100"], start_new_session=True) as process:
        wait_until(lambda: "b c" in Path(f"/proc/{process.pid}/comm").read_text())
        stat = _processes.stat_of(process.pid)
        process.kill()
    assert stat is not None
    assert (stat.parent, stat.session) == (os.getpid(), process.pid)


def test_this_process_is_among_its_ancestors() -> None:
    assert {os.getpid(), os.getppid()} <= _processes.ancestors()


def test_a_zombie_is_not_living() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert _processes.matching(lambda pid: True, [process.pid]) == []
    process.wait()


def test_without_proc_boot_and_pid_namespace_are_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_processes, "_PROC", tmp_path)
    assert _processes.here() == {"bootId": None, "pidNamespace": None}


async def test_a_process_that_cannot_be_killed_is_reported_as_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_ending, "_PATIENCE", 0.001)
    monkeypatch.setattr(_processes.Process, "signal", lambda self, *numbers: None)
    process = subprocess.Popen(["sleep", "100"])
    try:
        found, left = await _ending.end_all(lambda pid: pid == process.pid, 0)
    finally:
        process.kill()
        process.wait()
    assert found == left == {process.pid}


@pytest.mark.requirement("R4.3")
async def test_a_process_that_changes_between_two_checks_is_spared() -> None:
    process = subprocess.Popen(["sleep", "100"])
    looks = iter([True, False])
    try:
        found, _ = await _ending.end_all(lambda pid: pid == process.pid and next(looks, False), 0)
        assert found == frozenset()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
