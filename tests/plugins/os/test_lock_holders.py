"""Who holds a lock: for the error of a wait that was too long."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from frith_os.locks import describe_holders, holders

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="needs /proc/locks")

HOLD = """
import fcntl, os, select, sys
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX)
if sys.argv[2:]:
    os.set_inheritable(fd, True)
    parent = os.pidfd_open(os.getpid())
    if os.fork():
        os._exit(0)
    select.select([parent], [], [])  # until it has ended it is the one that is named
print(os.getpid(), flush=True)
sys.stdin.read()
"""


Hold: TypeAlias = Callable[..., int]


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = tmp_path / "lock"
    path.write_text("")
    return str(path)


@pytest.fixture
def hold(path: str) -> Iterator[Hold]:
    """Has another process hold the lock; returns its process id."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*how: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, path, *how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())

    yield begin
    for process in started:
        process.communicate()


def test_the_process_that_acquired_a_lock_is_named_with_its_command(path: str, hold: Hold) -> None:
    pid = hold()
    assert holders(path) == (pid,)
    assert describe_holders(path).startswith(f"Process {pid} (python")


def test_a_child_that_inherited_a_lock_is_named_after_its_parent_has_ended(
    path: str, hold: Hold
) -> None:
    pid = hold("in a child")
    assert holders(path) == (pid,)


def test_this_process_is_a_holder_too(path: str) -> None:
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert holders(path) == (os.getpid(),)


def test_a_process_that_waits_for_a_lock_does_not_hold_it(path: str, hold: Hold) -> None:
    pid = hold()
    with subprocess.Popen(["flock", path, "true"]):
        assert holders(path) == (pid,)
        os.kill(pid, 9)


def test_a_free_lock_and_a_missing_file_have_no_holders(path: str, tmp_path: Path) -> None:
    assert holders(path) == holders(str(tmp_path / "none")) == ()
    assert describe_holders(path) == "Another process"


def test_the_description_has_no_arguments_of_the_command(path: str, hold: Hold) -> None:
    hold()
    assert path not in describe_holders(path)


def test_without_descriptors_the_holder_is_another_process(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("builtins.open", refused)
    monkeypatch.setattr(os, "listdir", refused)
    assert describe_holders(path) == "Another process"
