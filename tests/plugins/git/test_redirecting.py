"""Configurations that redirect git in a worktree to another directory."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from frith.errors import WorktreeRedirectedError
from frith.model import Session
from frith.ports import Presence

from .conftest import MakeRepo, Repo


def redirect(repo: Repo) -> None:
    repo.git("config", "core.worktree", str(repo.path))
    repo.git("config", "extensions.worktreeConfig", "true")


def make_bare(repo: Repo) -> None:
    repo.git("config", "extensions.worktreeConfig", "true")
    repo.git("config", "core.bare", "true")


def follow(reason: Any) -> None:
    """Run the commands that an error gives."""
    for command in re.findall(r"`(git [^`]*)`", reason):
        subprocess.run(shlex.split(command), check=True)


@pytest.mark.parametrize("break_", [redirect, make_bare])
async def test_the_commands_in_the_error_repair_the_configuration(repo: Repo, break_: Any) -> None:
    break_(repo)
    plan = await repo.plan()
    with pytest.raises(WorktreeRedirectedError) as caught:
        await repo.workspace.create(plan)
    assert caught.value.reason.count("`git ") == 2
    follow(caught.value.reason)
    session = await repo.create()
    assert repo.git("rev-parse", "--show-toplevel", at=session.worktree_path) == plan_path(session)
    assert repo.git("status", "--porcelain", at=session.worktree_path) == ""


def plan_path(session: Session) -> Any:
    return str(Path(session.worktree_path).resolve())


async def test_a_refused_creation_keeps_uncommitted_work_in_the_main_worktree(repo: Repo) -> None:
    redirect(repo)
    work = repo.path / "README"
    work.write_text("uncommitted")
    with pytest.raises(WorktreeRedirectedError):
        await repo.create()
    assert work.read_text() == "uncommitted"
    assert repo.worktrees() == 1
    assert repo.branches() == {"main"}


async def test_a_missing_redirected_worktree_is_restored_at_its_own_path(repo: Repo) -> None:
    session = await repo.create()
    redirect(repo)
    (repo.path / "README").write_text("uncommitted")
    shutil.rmtree(session.worktree_path)
    await repo.workspace.restore(session)
    assert (repo.path / "README").read_text() == "uncommitted"
    assert Path(session.worktree_path, "README").exists()
    located = await repo.workspace.locate([session])
    assert located[session.id].presence is Presence.REDIRECTED


async def test_a_worktree_with_settings_of_its_own_is_not_redirected(repo: Repo) -> None:
    repo.git("config", "extensions.worktreeConfig", "true")
    session = await repo.create()
    repo.git("sparse-checkout", "set", "nothing", at=session.worktree_path)
    located = await repo.workspace.locate([session])
    assert located[session.id].presence is Presence.PRESENT


async def test_locating_without_the_extension_runs_no_git(
    repo: Repo, git_runs: list[tuple[str, ...]]
) -> None:
    session = await repo.create()
    git_runs.clear()
    await repo.workspace.locate([session])
    assert git_runs == []


@pytest.mark.parametrize("extension", [False, True])
async def test_a_submodule_as_workspace_is_not_redirected(
    make_repo: MakeRepo, extension: Any
) -> None:
    """Its `core.worktree` is set by git itself."""
    outer = make_repo("outer")
    outer.git("submodule", "--quiet", "add", str(make_repo("inner").path), "module")
    module = type(outer)(outer.path / "module")
    if not extension:
        session = await module.create()
        assert module.git("status", "--porcelain", at=session.worktree_path) == ""
        return
    module.git("config", "extensions.worktreeConfig", "true")
    with pytest.raises(WorktreeRedirectedError) as caught:
        await module.create()
    follow(caught.value.reason)
    session = await module.create()
    assert module.git("status", "--porcelain", at=session.worktree_path) == ""
    assert outer.git("status", "--porcelain", "--ignore-submodules=none", at=module.path) == ""
