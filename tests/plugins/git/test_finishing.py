"""Restoring worktrees whose checkout was interrupted before git wrote the index."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import WorktreeMissingError
from frith.model import Session
from frith.ports import MarkerState, Presence
from frith_git import create, git, locate
from frith_git.git import GitError, GitNotFoundError
from frith_git.lock import locked
from waiting import until

from .conftest import Repo

_HOST = """
import os, sys, anyio
from pathlib import Path
from frith.model import Session
from frith_git import GitWorkspaceOptions
from frith_git.workspace import GitWorkspace
workspace, session = sys.argv[1:]
os.environ["HOST"] = str(os.getpid())
provider = GitWorkspace(GitWorkspaceOptions(), Path(workspace))
anyio.run(provider.restore, Session.model_validate_json(session))
"""

_KILLER = """#!/bin/sh
# Runs git, but kills its host before it writes files, and continues when told.
case " $* " in *" read-tree "*) kill -9 "$HOST"; read -r told <{go};; esac
exec {git} "$@"
"""


@pytest.fixture
async def session(repo: Repo) -> Session:
    """A session whose worktree has its link, but neither files nor an index."""
    session = await repo.create()
    await repo.recovery.remember(session, MarkerState.LIVE)
    _interrupt(repo, session)
    return session


def _interrupt(repo: Repo, session: Session) -> None:
    tree = Path(session.worktree_path)
    (repo.admin(session) / "index").unlink()
    for name in ("README", ".gitignore"):
        (tree / name).unlink()
    shutil.rmtree(tree / "src")


async def presence_of(repo: Repo, session: Session) -> Presence:
    return (await repo.workspace.locate([session]))[session.id].presence


async def test_a_worktree_without_its_files_is_located_as_missing(
    repo: Repo, session: Session
) -> None:
    assert await presence_of(repo, session) == Presence.MISSING


async def test_a_worktree_without_its_files_is_present_during_its_removal(
    repo: Repo, session: Session
) -> None:
    removing = session.detail(removing=True)
    assert await presence_of(repo, removing) == Presence.PRESENT


async def test_restoring_writes_the_files(repo: Repo, session: Session, tree: Path) -> None:
    await repo.workspace.restore(session)
    assert repo.git("status", "--porcelain", at=tree) == ""
    assert repo.git("symbolic-ref", "--short", "HEAD", at=tree) == session.branch
    assert [m.session for m in await repo.recovery.rebuild()] == [session]
    assert await presence_of(repo, session) == Presence.PRESENT


async def test_restoring_keeps_existing_files_and_writes_the_others(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "README").write_text("work")
    (tree / "new").write_text("work")
    await repo.workspace.restore(session)
    assert (tree / "README").read_text() == "work"
    assert repo.git("status", "--porcelain", at=tree) == " M README\n?? new"


async def test_restoring_without_link_and_index_keeps_existing_files(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / ".git").unlink()
    (tree / "README").write_text("work")
    await repo.workspace.restore(session)
    assert repo.git("status", "--porcelain", at=tree) == " M README"


async def test_restoring_beside_existing_files_keeps_a_sparse_worktree_sparse(
    repo: Repo, session: Session, tree: Path
) -> None:
    await repo.workspace.restore(session)
    repo.git("sparse-checkout", "set", "--no-cone", "/README", "/.gitignore", at=tree)
    (repo.admin(session) / "index").unlink()
    (tree / "README").unlink()
    await repo.workspace.restore(session)
    assert repo.git("status", "--porcelain", at=tree) == ""
    assert not (tree / "src").exists()


@pytest.mark.parametrize("left", ["nothing", "link", "file"])
async def test_restoring_removes_the_index_lock_of_a_killed_git(
    repo: Repo, session: Session, tree: Path, left: str
) -> None:
    if left == "nothing":
        await repo.workspace.restore(session)
        shutil.rmtree(tree)
    elif left == "file":
        (tree / "README").write_text("hello\n")
    (repo.admin(session) / "index.lock").write_bytes(b"")
    await repo.workspace.restore(session)
    assert repo.git("status", "--porcelain", at=tree) == ""


async def test_restoring_can_be_retried_after_a_failure(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "README").write_text("work")
    run = git.run

    async def failing(directory: Any, *args: Any, **options: Any) -> Any:
        if "checkout-index" in args:
            raise GitNotFoundError
        return await run(directory, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(git, "run", failing)
        with pytest.raises(GitNotFoundError):
            await repo.workspace.restore(session)
    assert await presence_of(repo, session) == Presence.MISSING
    await repo.workspace.restore(session)
    assert repo.git("status", "--porcelain", at=tree) == " M README"


async def test_a_worktree_on_a_branch_without_commits_is_not_changed(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("symbolic-ref", "HEAD", "refs/heads/unborn", at=tree)
    (tree / "new").write_text("work")
    await repo.workspace.restore(session)
    assert repo.git("symbolic-ref", "--short", "HEAD", at=tree) == "unborn"
    assert repo.git("status", "--porcelain", at=tree) == "?? new"


async def test_a_worktree_without_its_head_is_created_again(
    repo: Repo, session: Session, tree: Path
) -> None:
    (repo.admin(session) / "HEAD").write_text("0" * 40 + "\n")
    await repo.workspace.restore(session)
    assert repo.git("symbolic-ref", "--short", "HEAD", at=tree) == session.branch
    assert repo.git("status", "--porcelain", at=tree) == ""


async def test_a_worktree_without_its_head_that_has_files_is_not_changed(
    repo: Repo, session: Session, tree: Path
) -> None:
    (repo.admin(session) / "HEAD").write_text("0" * 40 + "\n")
    (tree / "new").write_text("work")
    with pytest.raises(GitError):
        await repo.workspace.restore(session)
    assert sorted(os.listdir(tree)) == [".git", "new"]


@pytest.mark.parametrize("error", [OSError("no process"), GitNotFoundError(), KeyboardInterrupt()])
async def test_a_failed_re_creation_leaves_no_worktree(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    shutil.rmtree(tree)
    shutil.rmtree(repo.admin(session))

    async def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr(locate, "check_out", failing)
    with pytest.raises(type(error)):
        await repo.workspace.restore(session)
    assert not tree.exists()
    assert not repo.admin(session).exists()


async def test_a_failed_re_creation_raises_its_error_even_if_undoing_fails(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tree)
    shutil.rmtree(repo.admin(session))

    async def failing(*_: Any) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        raise OSError("no process")

    monkeypatch.setattr(locate, "check_out", failing)
    with pytest.raises(OSError, match="no process"):
        await repo.workspace.restore(session)
    assert await presence_of(repo, session) == Presence.MISSING


async def test_restoring_is_refused_while_a_creation_still_writes_files(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "_PATIENCE", 0)
    async with locked(repo.admin(session) / "frith-filling.lock"):
        with pytest.raises(WorktreeMissingError, match="Try again later"):
            await repo.workspace.restore(session)
    assert os.listdir(tree) == [".git"]


def _waits_for_a_lock() -> bool:
    return any(thread.name == "frith-lock" for thread in threading.enumerate())


async def test_restoring_waits_for_a_git_that_outlived_its_host(
    repo: Repo, session: Session, tree: Path, tmp_path: Path
) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(_KILLER.format(git=shutil.which("git"), go=tmp_path / "go"))
    fake.chmod(0o755)
    os.mkfifo(tmp_path / "go")
    host = subprocess.Popen(
        [sys.executable, "-c", _HOST, str(repo.path), session.model_dump_json(by_alias=True)],
        env={**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"},
    )
    assert host.wait() == -signal.SIGKILL
    assert await presence_of(repo, session) == Presence.MISSING
    restored = anyio.Event()

    async def restore() -> None:
        await repo.workspace.restore(session)
        restored.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(restore)
        await until(lambda: restored.is_set() or _waits_for_a_lock())
        assert not restored.is_set()
        await anyio.Path(tmp_path / "go").write_text("go on\n")
    (tree / "README").write_text("work")
    assert repo.git("status", "--porcelain", at=tree) == " M README"
