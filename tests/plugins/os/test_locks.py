"""One lock file, several descriptions of it."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from frith_os.locks import FileLock, Waiting, is_unsupported
from waiting import PATIENCE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "lock"


@pytest.fixture
def first(path: Path) -> FileLock:
    return FileLock(str(path))


@pytest.fixture
def second(path: Path) -> FileLock:
    return FileLock(str(path))


def has_ended(waiting: Waiting, within: float) -> bool:
    return bool(select.select([waiting.socket], [], [], within)[0])


def test_an_exclusive_lock_excludes_all_others(first: FileLock, second: FileLock) -> None:
    first.acquire()
    assert not second.try_acquire()
    assert not second.try_acquire(shared=True)
    first.release()
    assert second.try_acquire()


def test_a_shared_lock_excludes_exclusive_ones_alone(first: FileLock, second: FileLock) -> None:
    first.acquire(shared=True)
    assert not second.try_acquire()
    assert second.try_acquire(shared=True)


def test_closing_releases_the_lock(first: FileLock, second: FileLock) -> None:
    first.acquire()
    first.close()
    assert second.try_acquire()
    assert first.fd == -1


def test_only_the_owner_can_open_the_file_and_its_directory(first: FileLock, path: Path) -> None:
    first.acquire()
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)]
    assert modes == [0o600, 0o700]


def test_a_directory_of_others_is_left_as_it_is(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    FileLock(str(path), own_directory=False).acquire()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_a_deleted_file_is_created_anew(first: FileLock, second: FileLock, path: Path) -> None:
    first.acquire()
    path.unlink()
    assert second.try_acquire()
    assert not first.try_acquire()  # its own file is not the one at the path any more
    assert os.path.samestat(os.fstat(second.fd), path.stat())


def test_a_lock_that_creates_nothing_reports_a_missing_file(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(str(path), create=False).try_acquire()
    assert not path.parent.exists()


def test_a_retired_lock_creates_nothing(first: FileLock, path: Path) -> None:
    first.retire()
    with pytest.raises(FileNotFoundError):
        first.acquire()
    assert not path.parent.exists()


def test_a_forked_child_does_not_keep_the_lock(first: FileLock, second: FileLock) -> None:
    first.acquire()
    code = (
        f"import os, sys; sys.path[:0] = {sys.path!r}\n"
        + """
from frith_os.locks import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
if os.fork():
    os.kill(os.getpid(), 9)
print(flush=True)
sys.stdin.read()
"""
    )
    first.close()
    with subprocess.Popen(
        [sys.executable, "-c", code, second.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.wait()
        assert second.try_acquire()


def test_a_wait_ends_when_the_lock_is_released(first: FileLock, second: FileLock) -> None:
    first.acquire()
    with Waiting(second) as waiting:
        assert not has_ended(waiting, 0)
        first.release()
        assert has_ended(waiting, PATIENCE)
        waiting.result()
    assert not first.try_acquire()


def test_an_abandoned_wait_keeps_no_lock(first: FileLock, second: FileLock) -> None:
    first.acquire()
    with pytest.raises(TimeoutError), Waiting(second):
        raise TimeoutError
    first.close()
    third = FileLock(first.path)
    third.acquire()


def test_a_wait_that_ends_before_it_is_abandoned_keeps_no_lock(
    first: FileLock, second: FileLock
) -> None:
    with suppress(TimeoutError), Waiting(second) as waiting:
        assert has_ended(waiting, PATIENCE)
        raise TimeoutError
    assert first.try_acquire()


def test_a_wait_reports_a_file_system_without_locks(
    first: FileLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with Waiting(first) as waiting:
        assert has_ended(waiting, PATIENCE)
        with pytest.raises(OSError, match="locks") as caught:
            waiting.result()
    assert is_unsupported(caught.value)
