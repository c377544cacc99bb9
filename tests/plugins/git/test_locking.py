"""The lock between processes and between tasks."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from frith_git import lock
from frith_git.lock import GitLockedError, held, locked
from frith_git.repository import GitFileError
from frith_os import locks
from waiting import until

from .conftest import Repo

_HOLDER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""

_CREATOR = """
import sys, uuid, anyio
from pathlib import Path
from frith.ports import WorktreeRequest
from frith_git import GitWorkspaceOptions
from frith_git.workspace import GitWorkspace

async def main(workspace, who):
    provider = GitWorkspace(GitWorkspaceOptions(), Path(workspace))
    async def create(number):
        request = WorktreeRequest(str(uuid.uuid4()), f"feature/{who}-{number}")
        await provider.create(await provider.plan(request))
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(create, number)

anyio.run(main, *sys.argv[1:])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "directory" / "lock"


class Holder:
    """Another process that holds the lock."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def release(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()


@pytest.fixture
def holder(path: Path) -> Iterator[Holder]:
    path.parent.mkdir()
    arguments = [sys.executable, "-c", _HOLDER, str(path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield Holder(process)
        process.kill()


def _is_locked(path: Path) -> bool:
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


async def test_the_lock_is_held_in_the_context_and_released_after_it(path: Path) -> None:
    async with locked(path):
        assert _is_locked(path)
        assert len(held.get()) == 1
    assert not _is_locked(path)
    assert held.get() == ()


async def test_tasks_of_one_process_exclude_each_other(path: Path) -> None:
    inside = 0

    async def enter() -> None:
        nonlocal inside
        async with locked(path):
            inside += 1
            await anyio.lowlevel.checkpoint()
            assert inside == 1
            inside -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(enter)


async def test_waiting_for_another_process_does_not_block_the_loop(
    path: Path, holder: Holder
) -> None:
    async def let_go() -> None:
        holder.release()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(let_go)
        async with locked(path):
            pass


async def test_killing_the_holder_releases_the_lock(path: Path, holder: Holder) -> None:
    holder.process.kill()
    async with locked(path):
        pass


async def test_cancelled_waiting_leaves_no_descriptor_and_no_lock(
    path: Path, holder: Holder
) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(locked(path).__aenter__)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    holder.release()
    # The abandoned thread releases the lock as soon as it acquires it.
    async with locked(path):
        pass
    if before:
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_a_lock_file_that_was_replaced_during_the_wait_is_locked_again(
    path: Path, holder: Holder
) -> None:
    async def delete() -> None:
        path.unlink()
        path.write_text("")
        holder.release()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delete)
        async with locked(path):
            assert _is_locked(path)


async def test_a_lock_file_that_was_deleted_during_the_wait_is_created_again(
    path: Path, holder: Holder
) -> None:
    async def delete() -> None:
        path.unlink()
        holder.release()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delete)
        async with locked(path):
            assert _is_locked(path)


async def test_a_git_directory_that_was_deleted_is_not_created_again_by_a_lock(
    tmp_path: Path,
) -> None:
    with pytest.raises(GitFileError):
        async with locked(tmp_path / "repo" / ".git" / "frith" / "lock"):
            pass
    assert not (tmp_path / "repo").exists()


async def test_a_file_system_without_locks_is_an_error(
    path: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def without(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_EX:
            raise OSError(37, "No locks available")
        real(descriptor, how)

    monkeypatch.setattr("fcntl.flock", without)
    with pytest.raises(GitFileError, match="No locks"):
        async with locked(path):
            pass


async def test_a_lock_held_too_long_by_another_process_is_an_error_that_names_it(
    path: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.01)
    with pytest.raises(GitLockedError) as caught:
        async with locked(path):
            pass
    assert (caught.value.path, caught.value.code) == (str(path), "GIT_LOCKED")
    if sys.platform == "linux":
        assert caught.value.holder.startswith(f"Process {holder.process.pid} (python")
        assert caught.value.holder in str(caught.value)


async def test_a_lock_held_by_this_process_is_waited_for_longer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    enough = anyio.Event()
    real, turns = locks.holders, 3

    def looked(where: str) -> tuple[int, ...]:
        looks.append(where)
        if len(looks) == turns:
            anyio.from_thread.run_sync(enough.set)
        return real(where)

    monkeypatch.setattr(lock, "_PATIENCE", 0.01)
    monkeypatch.setattr(lock, "_OWN_TURNS", 1000)
    monkeypatch.setattr(lock, "holders", looked)

    async def wait() -> None:
        async with locked(path):
            pass

    async with anyio.create_task_group() as tasks, locked(path):
        tasks.start_soon(wait)
        await enough.wait()


async def test_a_lock_held_too_long_by_this_process_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.01)
    async with locked(path):
        with pytest.raises(GitLockedError):
            async with locked(path):
                pass


@pytest.mark.expensive("starts several processes")
@pytest.mark.requirement("R2.4")
async def test_four_processes_create_worktrees_concurrently(repo: Repo) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", _CREATOR, str(repo.path), str(who)])
        for who in range(4)
    ]
    assert [process.wait() for process in processes] == [0] * 4
    assert repo.worktrees() == 1 + 12
    for found in await repo.recovery.rebuild():
        assert repo.git("status", "--porcelain", at=found.session.worktree_path) == ""


async def test_many_tasks_create_and_remove_worktrees_concurrently(repo: Repo) -> None:
    async def live(number: int) -> None:
        session = await repo.create(f"feature/{number}")
        await repo.workspace.remove(session)

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(live, number)
    assert repo.worktrees() == 1
    assert len(repo.branches()) == 1 + 12
