"""Real repositories, and the providers on them."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frith.model import AtStake, Session, SessionStatus, now
from frith.ports import WorktreePlan, WorktreeRequest
from frith_git import GitWorkspaceOptions, git
from frith_git.recovery import GitRecovery
from frith_git.workspace import GitWorkspace

_GLOBAL_CONFIG = """\
[user]
name = Tester
email = tester@example.invalid
[init]
defaultBranch = main
[commit]
gpgsign = false
[protocol "file"]
allow = always
[advice]
detachedHead = false
"""


def run_git(directory: Path | str, *args: str | bytes) -> str:
    done = subprocess.run(["git", *args], cwd=directory, capture_output=True, check=False)
    assert done.returncode == 0, f"git {args}: {done.stderr.decode(errors='replace')}"
    return os.fsdecode(done.stdout).rstrip("\n")


Hook = Callable[[str], Path]


class Repo:
    """A workspace with one commit, its providers, and helpers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.workspace = GitWorkspace(GitWorkspaceOptions(), path)
        self.recovery = GitRecovery(path)

    def git(self, *args: str | bytes, at: Path | str | None = None) -> str:
        return run_git(at or self.path, *args)

    def commit(self, message: str = "more", at: Path | str | None = None) -> str:
        self.git("add", "--all", at=at)
        self.git("commit", "--quiet", "--allow-empty", "-m", message, at=at)
        return self.git("rev-parse", "HEAD", at=at)

    def worktrees(self) -> int:
        return self.git("worktree", "list", "--porcelain").count("worktree ")

    def branches(self) -> set[str]:
        return set(self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split())

    def admin(self, session: Session) -> Path:
        return self.path / ".git/worktrees" / Path(session.worktree_path).name

    async def plan(self, branch: str = "feature/x", **request: Any) -> WorktreePlan:
        return await self.workspace.plan(WorktreeRequest(str(uuid.uuid4()), branch, **request))

    async def create(self, branch: str = "feature/x", **request: Any) -> Session:
        plan = await self.plan(branch, **request)
        await self.workspace.create(plan)
        return session_of(plan)

    def session(self, plan: WorktreePlan, **fields: Any) -> Session:
        return session_of(plan, **fields)

    async def inspect(self, session: Session) -> AtStake:
        return await self.workspace.inspect(session)


def session_of(plan: WorktreePlan, **fields: Any) -> Session:
    moment = now()
    defaults: dict[str, Any] = {
        "id": plan.session_id,
        "name": plan.branch.rpartition("/")[2],
        "status": SessionStatus.IDLE,
        "branch": plan.branch,
        "worktree_path": plan.path,
        "created_at": moment,
        "last_activity": moment,
    }
    return Session(**{**defaults, **fields})


MakeRepo = Callable[[str], Repo]


@pytest.fixture(autouse=True)
def git_environment(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path_factory.getbasetemp() / "gitconfig"
    config.write_text(_GLOBAL_CONFIG)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture
def git_runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Record the command of every git process that the providers start."""
    commands: list[tuple[str, ...]] = []
    run_process = git.run_process

    async def recording(argv: Any, **options: Any) -> Any:
        commands.append(tuple(argv))
        return await run_process(argv, **options)

    monkeypatch.setattr(git, "run_process", recording)
    return commands


@pytest.fixture
def make_repo(tmp_path: Path, new_repository: Callable[[Path], Path]) -> MakeRepo:
    """Make a repository in a directory of the given name."""
    return lambda name: Repo(new_repository(tmp_path / name))


@pytest.fixture
def repo(make_repo: MakeRepo) -> Repo:
    return make_repo("workspace")


@pytest.fixture
async def session(repo: Repo) -> Session:
    return await repo.create()


@pytest.fixture
def tree(session: Session) -> Path:
    return Path(session.worktree_path)


@pytest.fixture
def hook(repo: Repo) -> Hook:
    """Install a `post-checkout` hook with the given shell script."""

    def install(script: str) -> Path:
        path = repo.path / ".git/hooks/post-checkout"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return install
