"""The command, run by git itself: from an alias or a hook, which point git at a repository."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Frith, Git

pytestmark = pytest.mark.expensive("starts the command as a process")

NEW = f"{sys.executable} -m frith_cli new one --detach -- sh agent.sh"
AGENT = "echo work >work.txt; git add work.txt; git commit -qm work --no-verify"


@pytest.fixture
def linked(repository: Path, git: Git) -> Path:
    """Another worktree of the repository, on a branch of its own."""
    (repository / "agent.sh").write_text(AGENT)
    git(repository, "add", "agent.sh")
    git(repository, "commit", "-qm", "the agent's work")
    path = repository.parent / "linked"
    git(repository, "worktree", "add", "-q", str(path), "-b", "linked")
    return path


def from_an_alias(git: Git, linked: Path) -> None:
    git(linked, "-c", f"alias.job=!{NEW}", "job")


def from_a_hook(git: Git, linked: Path) -> None:
    hook = Path(git(linked, "rev-parse", "--git-path", "hooks").strip()) / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{NEW}\n")
    hook.chmod(0o755)
    git(linked, "commit", "-q", "--allow-empty", "-m", "of the user")


@pytest.mark.parametrize("run", [from_an_alias, from_a_hook])
def test_a_session_works_on_its_own_branch(
    frith: Frith, git: Git, repository: Path, linked: Path, run: Callable[[Git, Path], None]
) -> None:
    run(git, linked)
    assert frith("wait", "one").code == 0
    assert git(repository, "log", "-1", "--format=%s", "feature/one") == "work\n"
    assert "work" not in git(repository, "log", "--format=%s", "linked").splitlines()
    assert git(linked, "status", "--porcelain") == ""


def test_git_configuration_in_the_environment_applies_inside_the_session(
    frith: Frith, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As containers do it to trust a repository of another user (`safe.directory`)."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "init.defaultBranch")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "told")
    assert frith("new", "one", "--detach", "--", "git", "config", "init.defaultBranch").code == 0
    assert frith("wait", "one").code == 0
    assert frith("tail", "one").out.strip() == "told"
