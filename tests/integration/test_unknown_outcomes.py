"""A disk that fails right after a commit, which may be durable: nothing is undone."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frith import ManagerConfig, SessionManager, SessionStatus
from frith.errors import CommitOutcomeUnknownError
from frith.model import ExitStatus
from frith_os import atomic

STATE = ".claude-container-sessions.json"
COMMAND = ["sh", "-c", "read -r _; exit 3"]


class Disk:
    """The disk of the state file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, workspace: Path) -> None:
        self._fails = self._is_full = False
        self._after = 0
        sync, create = atomic.sync_directory, atomic.open_new

        def sync_directory(path: str, *words: Any) -> None:
            if path == str(workspace):
                self._after -= 1
                if self._fails and self._after < 0:
                    self._is_full = True
                    raise OSError(errno.EIO, "the disk does not answer")
            sync(path, *words)

        def open_new(path: str, *words: Any) -> int:
            if self._is_full and os.path.dirname(path) == str(workspace):
                raise OSError(errno.ENOSPC, "no space left")
            return create(path, *words)

        monkeypatch.setattr(atomic, "sync_directory", sync_directory)
        monkeypatch.setattr(atomic, "open_new", open_new)

    def fail(self, *, after: int) -> None:
        """Allow ``after`` commits; the outcome of the next is unknown, and further ones fail."""
        self._fails, self._after = True, after

    def recover(self) -> None:
        self._fails = self._is_full = False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> Disk:
    return Disk(monkeypatch, workspace)


@pytest.fixture
def opened(workspace: Path) -> Callable[[], SessionManager]:
    return lambda: SessionManager(ManagerConfig(workspace=workspace))


async def test_a_creation_with_an_unknown_outcome_keeps_worktree_and_branch(
    opened: Callable[[], SessionManager], disk: Disk
) -> None:
    async with opened() as manager:
        disk.fail(after=1)
        with pytest.raises(CommitOutcomeUnknownError):
            await manager.create_session("login", command=COMMAND)
        disk.recover()
    async with opened() as manager:
        (session,) = manager.get_all_sessions()
        assert session.status is SessionStatus.IDLE
        assert Path(session.worktree_path, ".git").exists()
        assert await manager.diagnose() == ()


async def test_a_resumption_with_an_unknown_outcome_keeps_the_process(
    opened: Callable[[], SessionManager], disk: Disk
) -> None:
    async with opened() as manager:
        session = await manager.create_session("login", command=COMMAND, start=False)
        disk.fail(after=0)
        with pytest.raises(CommitOutcomeUnknownError):
            await manager.resume_session(session.id)
        disk.recover()
        await manager.terminal(session.id).write(b"\n")
        ended = await manager.wait_ended(session.id)
        assert ended.details.exit == ExitStatus(code=3)


@pytest.mark.parametrize("cleanup", [False, True])
async def test_a_destroyed_session_with_an_unknown_outcome_is_not_rebuilt(
    opened: Callable[[], SessionManager], workspace: Path, disk: Disk, cleanup: bool
) -> None:
    async with opened() as manager:
        session = await manager.create_session("login", start=False)
        disk.fail(after=1 if cleanup else 0)
        with pytest.raises(CommitOutcomeUnknownError):
            await manager.destroy_session(session.id, cleanup=cleanup)
        disk.recover()
    async with opened() as manager:
        assert manager.get_all_sessions() == ()
        assert await manager.diagnose() == ()
    (workspace / STATE).unlink()
    async with opened() as manager:
        assert manager.get_all_sessions() == ()
