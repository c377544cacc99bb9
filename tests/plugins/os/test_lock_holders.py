"""Who holds a lock: for the error of a wait that was too long."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys

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


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "lock"
    path.write_text("")
    return str(path)


@pytest.fixture
def hold(path):
    """Has another process hold the lock; returns its process id."""
    started = []

    def begin(*how: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, path, *how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        return int(process.stdout.readline())

    yield begin
    for process in started:
        process.communicate()


def test_the_process_that_took_it_is_named_with_its_command(path, hold):
    pid = hold()
    assert holders(path) == (pid,)
    assert describe_holders(path).startswith(f"Process {pid} (python")


def test_a_child_that_goes_on_holding_it_is_named(path, hold):
    pid = hold("in a child")
    assert holders(path) == (pid,)


def test_this_process_is_named_too(path):
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert holders(path) == (os.getpid(),)


def test_who_waits_does_not_hold_it(path, hold):
    pid = hold()
    with subprocess.Popen(["flock", path, "true"]):
        assert holders(path) == (pid,)
        os.kill(pid, 9)


def test_of_a_lock_that_is_free_or_no_file_nothing_is_known(path, tmp_path):
    assert holders(path) == holders(str(tmp_path / "none")) == ()
    assert describe_holders(path) == "Another process"


def test_arguments_of_the_command_are_not_told(path, hold):
    hold()
    assert path not in describe_holders(path)


def test_without_descriptors_nothing_is_known(path, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("builtins.open", refused)
    monkeypatch.setattr(os, "listdir", refused)
    assert describe_holders(path) == "Another process"
