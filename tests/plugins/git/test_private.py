"""Markers and locks are private, and files that root creates belong to the repository's owner."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from frith.model import Session
from frith.ports import MarkerState
from frith_git.recovery import open_recovery

from .conftest import Hook, Repo

OWNER = 12345


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def remembered(repo: Repo, **fields: Any) -> Session:
    plan = await repo.plan()
    await repo.workspace.create(plan)
    session = repo.session(plan, **fields)
    await repo.recovery.remember(session, MarkerState.LIVE)
    return session


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make another user's file")
async def test_a_marker_of_another_user_is_not_trusted(repo: Repo) -> None:
    session = await remembered(repo, name="one", command=("true",))
    marker = repo.admin(session) / "frith.json"
    marker.write_bytes(marker.read_bytes())
    os.chown(marker, OWNER, OWNER)
    (found,) = await repo.recovery.rebuild()
    assert not found.complete
    assert found.session.details.command is None


@pytest.mark.parametrize("umask", [0, 0o022], ids=oct)
async def test_markers_and_locks_are_private_regardless_of_the_umask(
    repo: Repo, umask: int
) -> None:
    before = os.umask(umask)
    try:
        session = await remembered(repo)
    finally:
        os.umask(before)
    ours = repo.path / ".git" / "frith"
    assert mode(ours) == 0o700
    assert {mode(path) for path in (*ours.iterdir(), *repo.admin(session).glob("frith*"))} == {
        0o600
    }


async def test_the_administrative_directory_of_git_keeps_its_mode(repo: Repo) -> None:
    session = await remembered(repo)
    assert mode(repo.admin(session)) == mode(repo.path / ".git" / "worktrees")


async def test_a_marker_that_others_may_read_becomes_private_when_written(repo: Repo) -> None:
    session = await remembered(repo)
    marker = repo.admin(session) / "frith.json"
    marker.chmod(0o644)
    await repo.recovery.remember(session, MarkerState.LIVE)
    assert mode(marker) == 0o600


async def test_a_marker_that_others_may_read_becomes_private_when_the_provider_opens(
    repo: Repo,
) -> None:
    marker = repo.admin(await remembered(repo)) / "frith.json"
    marker.chmod(0o644)
    async with open_recovery(repo.path):
        assert mode(marker) == 0o600


async def test_a_broken_marker_that_is_kept_becomes_private(repo: Repo) -> None:
    session = await remembered(repo)
    marker = repo.admin(session) / "frith.json"
    marker.write_text("broken")
    marker.chmod(0o644)
    await repo.recovery.remember(session, MarkerState.LIVE)
    (aside,) = repo.admin(session).glob("frith.json.broken-*")
    assert mode(aside) == 0o600


async def test_lock_files_and_directory_that_others_may_open_become_private(repo: Repo) -> None:
    await remembered(repo)
    ours = repo.path / ".git" / "frith"
    ours.chmod(0o755)
    for path in ours.iterdir():
        path.chmod(0o644)
    plan = await repo.plan("feature/another")
    await repo.workspace.create(plan)
    await repo.recovery.remember(repo.session(plan), MarkerState.LIVE)
    assert [mode(path) for path in (ours, *ours.iterdir())] == [0o700, 0o600, 0o600]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("how", ["created", "refused", "restored"])
async def test_files_that_root_creates_in_the_repository_of_another_user_belong_to_that_user(
    repo: Repo, hook: Hook, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    trusted = {"COUNT": "1", "KEY_0": "safe.directory", "VALUE_0": "*"}
    for name, value in trusted.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    for path in (repo.path, *repo.path.rglob("*")):
        os.chown(path, OWNER, OWNER)
    before = {*repo.path.rglob("*")}
    hook("mkdir made; touch made/by_the_hook")
    if how == "refused":
        monkeypatch.setattr("frith_git.create.run_post_checkout", None)
        with pytest.raises(TypeError):
            await repo.create("feature/deep/name")
    else:
        session = await repo.create("feature/deep/name")
        if how == "restored":
            repo.git("worktree", "unlock", session.worktree_path)
            repo.git("worktree", "remove", "--force", session.worktree_path)
            await repo.workspace.restore(session)
    made = {*repo.path.rglob("*")} - before - {*(repo.path / ".git" / "hooks").rglob("*")}
    assert made
    assert {path for path in made if path.lstat().st_uid != OWNER} == set()
