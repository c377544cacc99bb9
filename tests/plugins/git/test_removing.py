"""Removing worktrees."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import RemovalBlockedError
from frith.model import Session
from frith.ports import MarkerState
from frith_git import git
from frith_git.git import GitError
from frith_git.repository import GitFileError
from waiting import until

from .conftest import Repo


async def test_disposable_files_are_removed_without_force(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "node_modules").mkdir()
    (tree / "node_modules/x").write_text("x")
    await repo.workspace.remove(session)
    assert not tree.exists()


@pytest.mark.requirement("R2.5")
async def test_the_last_session_removes_a_shared_worktree_that_another_locked(
    repo: Repo, session: Session, tree: Path
) -> None:
    other = session.evolve(id="11111111-1111-4111-8111-111111111111")
    await repo.recovery.remember(session, MarkerState.RELEASED)
    await repo.recovery.remember(other, MarkerState.LIVE)
    await repo.workspace.remove(other)
    assert not tree.exists()


async def test_a_shared_worktree_is_removed_without_a_marker(
    repo: Repo, session: Session, tree: Path
) -> None:
    other = session.evolve(id="11111111-1111-4111-8111-111111111111")
    await repo.workspace.remove(other)
    assert not tree.exists()


async def test_removing_a_missing_worktree_unregisters_only_that_worktree(
    repo: Repo, session: Session, tree: Path
) -> None:
    kept = await repo.create("kept")
    shutil.rmtree(tree)
    shutil.rmtree(kept.worktree_path)
    await repo.workspace.remove(session)
    assert not repo.admin(session).exists()
    assert repo.admin(kept).exists()
    await repo.workspace.remove(session)


async def test_an_emptied_worktree_is_removed(repo: Repo, session: Session, tree: Path) -> None:
    shutil.rmtree(tree)
    tree.mkdir()
    await repo.workspace.remove(session)
    assert not tree.exists()
    assert not repo.admin(session).exists()


async def test_an_unlocked_worktree_is_removed(repo: Repo, session: Session, tree: Path) -> None:
    repo.git("worktree", "unlock", str(tree))
    await repo.workspace.remove(session)
    assert not tree.exists()


async def test_a_worktree_that_git_refuses_to_remove_stays_locked_and_complete(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspector = "frith_git.inspect.tree_status"

    async def blind(*_: Any) -> Any:
        from frith_git.status import TreeStatus

        return TreeStatus(commit="0" * 40)

    (tree / "untracked").write_text("written just after the inspection")
    monkeypatch.setattr(inspector, blind)
    monkeypatch.setattr("frith_git.inspect.unreachable_commits", _none)
    with pytest.raises(GitError, match="untracked"):
        await repo.workspace.remove(session)
    assert (tree / "untracked").exists()
    assert (repo.admin(session) / "locked").read_text().strip() == f"frith {session.id}"


@pytest.fixture
def stubborn(tree: Path) -> Iterator[Path]:
    """A disposable directory from which git cannot delete a file."""
    directory = tree / "node_modules/module"
    directory.mkdir(parents=True)
    (directory / "file").write_text("x")
    directory.chmod(0o555)
    if os.access(directory, os.W_OK):
        pytest.skip("root deletes everything")
    yield directory
    if directory.exists():
        directory.chmod(0o755)


async def test_read_only_directories_are_removed(
    repo: Repo, session: Session, tree: Path, stubborn: Path
) -> None:
    await repo.workspace.remove(session)
    assert not tree.exists()
    assert not repo.admin(session).exists()


async def test_files_that_cannot_be_deleted_are_logged_and_the_worktree_is_removed(
    repo: Repo, session: Session, tree: Path, stubborn: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stubborn.chmod(0)
    await repo.workspace.remove(session)
    assert "worktree_files_left" in caplog.text
    assert str(tree) in caplog.text
    assert not repo.admin(session).exists()


_GIT = """#!{sh}
# Runs git, but writes into the administrative directory while git deletes it.
case " $* " in *" worktree remove "*)
    {git} "$@" && mkdir -p {admin} && echo x >{admin}/index.lock
    exit 255;;
esac
exec {git} "$@"
"""


@pytest.fixture
def disturbed(
    repo: Repo, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    git, sh = shutil.which("git"), shutil.which("sh")
    fake.write_text(_GIT.format(sh=sh, git=git, admin=repo.admin(session)))
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")


async def test_files_written_while_git_removes_the_worktree_are_removed(
    repo: Repo, session: Session, tree: Path, disturbed: None
) -> None:
    await repo.workspace.remove(session)
    assert not tree.exists()
    assert not repo.admin(session).exists()


async def test_a_marker_is_not_written_while_its_directory_is_deleted(
    repo: Repo, session: Session, disturbed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []

    def waits_for_a_lock() -> bool:
        return any(thread.name == "frith-lock" for thread in threading.enumerate())

    async def update() -> None:
        await repo.recovery.remember(session, MarkerState.LIVE, durable=False)
        events.append("marker written")

    def delete(path: str, **options: Any) -> None:
        if path == str(repo.admin(session)):
            anyio.from_thread.run(start_to_update)
            events.append("deleted")
        rmtree(path, **options)

    async def start_to_update() -> None:
        tasks.start_soon(update)
        await until(lambda: events or waits_for_a_lock())

    rmtree = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", delete)
    async with anyio.create_task_group() as tasks:
        await repo.workspace.remove(session)
    assert events == ["deleted", "marker written"]
    assert not repo.admin(session).exists()


async def test_no_file_is_deleted_if_the_result_of_git_cannot_be_read(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **options: Any) -> Any:
        if str(path).endswith("/gitdir"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return lstat(path, **options)

    async def fail(directory: Any, *args: Any, **options: Any) -> Any:
        if args[:2] == ("worktree", "remove"):
            monkeypatch.setattr(os, "lstat", refuse)
            raise GitError(("git", *args), 128, "no")
        return await run(directory, *args, **options)

    lstat, run = os.lstat, git.run
    monkeypatch.setattr(git, "run", fail)
    with pytest.raises(GitFileError):
        await repo.workspace.remove(session)
    monkeypatch.undo()
    assert (tree / "README").exists()
    assert repo.admin(session).is_dir()


async def _none(*_: object) -> tuple[str, ...]:
    return ()


async def test_a_worktree_without_its_link_is_not_removed(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / ".git").unlink()
    with pytest.raises(RemovalBlockedError):
        await repo.workspace.remove(session, force=True)
    assert (tree / "README").exists()
