"""Removals whose host is killed: the next start waits for their git process, then decides."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith import ManagerConfig, SessionManager

_GIT = """#!{sh}
# Runs git, but kills the host before git removes a worktree, and continues when told.
case " $* " in *" worktree remove "*)
    kill -9 {host}
    read -r told <{orphan};;
esac
exec {git} "$@"
"""

Start = Callable[..., Any]
Git = Callable[..., str]


def waits_for_a_lock() -> bool:
    return any(thread.name == "frith-lock" for thread in threading.enumerate())


def kill_in_removal(
    start_host: Start, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Return the record of a session whose removal waits at ``orphan`` without a host."""
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    os.mkfifo(tmp_path / "orphan")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
        git, sh = shutil.which("git"), shutil.which("sh")
        host = start_host(workspace)
        text = _GIT.format(sh=sh, git=git, host=host.process.pid, orphan=tmp_path / "orphan")
        fake.write_text(text)
        fake.chmod(0o755)
        session: dict[str, Any] = host.call("create_session", "one", start=False)
        with pytest.raises(host.Gone):
            host.call("destroy_session", session["id"], cleanup=True)
    return session


@pytest.mark.requirement("R5.2")
async def test_the_next_start_waits_for_a_removal_that_outlived_its_host_and_finishes_it(
    start_host: Start, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = kill_in_removal(start_host, workspace, tmp_path, monkeypatch)
    found = []

    async def open_next() -> None:
        async with SessionManager(ManagerConfig(workspace=workspace)) as manager:
            found.append(manager.get_all_sessions())
            go_on.set()
            await removed.wait()
            found.append(manager.get_all_sessions())

    go_on, removed = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_next)
        while not go_on.is_set() and not waits_for_a_lock():
            await anyio.lowlevel.checkpoint()
        await anyio.Path(tmp_path / "orphan").write_text("go on\n")
        await go_on.wait()
        removed.set()
    assert found == [(), ()]
    assert not Path(session["worktreePath"]).exists()


@pytest.mark.requirement("R5.2")
async def test_the_rest_of_a_removal_is_deleted_and_the_session_not_rebuilt(
    start_host: Start, workspace: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = kill_in_removal(start_host, workspace, tmp_path, monkeypatch)
    shutil.rmtree(session["worktreePath"])  # and the orphan is killed
    _kill_orphan(tmp_path)
    async with SessionManager(ManagerConfig(workspace=workspace)) as manager:
        assert manager.get_all_sessions() == ()
        assert not list((workspace / ".git").glob("worktrees/*"))
        assert await manager.rebuild_from_worktrees() == ()
        again = await manager.create_session(
            "again", branch="feature/one", start=False, existing=True
        )
        assert Path(again.worktree_path, "README").exists()


@pytest.mark.requirement("R5.2")
async def test_a_removal_that_git_did_not_begin_is_undone_and_the_worktree_locked_again(
    start_host: Start, workspace: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = kill_in_removal(start_host, workspace, tmp_path, monkeypatch)
    _kill_orphan(tmp_path)
    async with SessionManager(ManagerConfig(workspace=workspace)) as manager:
        (kept,) = manager.get_all_sessions()
        assert not kept.details.removing
        assert kept.id == session["id"]
    assert f"locked frith {kept.id}" in git(workspace, "worktree", "list", "--porcelain")


def _kill_orphan(tmp_path: Path) -> None:
    """Kill the shell that waits at ``orphan``, as a power cut would have."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(tmp_path / "bin" / "git").encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), 9)
        except OSError:
            continue
