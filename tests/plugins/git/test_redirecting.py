"""Configurations that lead git in a session's worktree to another directory."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from frith.errors import WorktreeRedirectedError
from frith.ports import Presence


def redirect(repo):
    repo.git("config", "core.worktree", str(repo.path))
    repo.git("config", "extensions.worktreeConfig", "true")


def make_bare(repo):
    repo.git("config", "extensions.worktreeConfig", "true")
    repo.git("config", "core.bare", "true")


def follow(reason):
    """Run the commands that an error gives."""
    for command in re.findall(r"`(git [^`]*)`", reason):
        subprocess.run(shlex.split(command), check=True)


@pytest.mark.parametrize("break_", [redirect, make_bare])
async def test_the_commands_that_the_refusal_gives_repair_the_configuration(repo, break_):
    break_(repo)
    plan = await repo.plan()
    with pytest.raises(WorktreeRedirectedError) as caught:
        await repo.workspace.create(plan)
    assert caught.value.reason.count("`git ") == 2
    follow(caught.value.reason)
    session = await repo.create()
    assert repo.git("rev-parse", "--show-toplevel", at=session.worktree_path) == plan_path(session)
    assert repo.git("status", "--porcelain", at=session.worktree_path) == ""


def plan_path(session):
    return str(Path(session.worktree_path).resolve())


async def test_a_refused_creation_leaves_uncommitted_work_in_the_main_worktree_alone(repo):
    redirect(repo)
    work = repo.path / "README"
    work.write_text("uncommitted")
    with pytest.raises(WorktreeRedirectedError):
        await repo.create()
    assert work.read_text() == "uncommitted"
    assert repo.worktrees() == 1
    assert repo.branches() == {"main"}


async def test_a_vanished_worktree_is_restored_in_its_own_place_and_still_redirected(repo):
    session = await repo.create()
    redirect(repo)
    (repo.path / "README").write_text("uncommitted")
    shutil.rmtree(session.worktree_path)
    await repo.workspace.restore(session)
    assert (repo.path / "README").read_text() == "uncommitted"
    assert Path(session.worktree_path, "README").exists()
    located = await repo.workspace.locate([session])
    assert located[session.id].presence is Presence.REDIRECTED


async def test_a_worktree_of_its_own_settings_is_not_redirected(repo):
    repo.git("config", "extensions.worktreeConfig", "true")
    session = await repo.create()
    repo.git("sparse-checkout", "set", "nothing", at=session.worktree_path)
    located = await repo.workspace.locate([session])
    assert located[session.id].presence is Presence.PRESENT


async def test_without_the_extension_nothing_is_run_to_locate(repo):
    session = await repo.create()
    before = repo.workspace.git.runs
    await repo.workspace.locate([session])
    assert repo.workspace.git.runs == before


@pytest.mark.parametrize("extension", [False, True])
async def test_a_submodule_as_the_workspace(make_repo, extension):
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
