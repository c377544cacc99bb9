"""Which repository the command works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from frith.errors import InvalidWorkspaceError
from frith_cli.workspace import enclosing_repository, find_workspace

from .conftest import Git


def test_the_flag_comes_before_the_environment(tmp_path: Path) -> None:
    environ = {"FRITH_WORKSPACE": "/a", "WORKSPACE_ROOT": "/b"}
    assert find_workspace(str(tmp_path), environ) == tmp_path


def test_frith_workspace_comes_before_workspace_root(tmp_path: Path) -> None:
    environ = {"WORKSPACE_ROOT": "/b", "FRITH_WORKSPACE": str(tmp_path)}
    assert find_workspace(None, environ) == tmp_path


def test_an_empty_workspace_variable_is_ignored(tmp_path: Path) -> None:
    environ = {"FRITH_WORKSPACE": "", "WORKSPACE_ROOT": str(tmp_path)}
    assert find_workspace(None, environ) == tmp_path


def test_a_relative_path_starts_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_workspace("here", {}) == tmp_path / "here"
    assert find_workspace("./here/../here/.", {}) == tmp_path / "here"


def test_symbolic_links_to_a_workspace_are_resolved(repository: Path) -> None:
    link = repository.with_name("link")
    link.symlink_to(repository)
    assert find_workspace(str(link), {}) == repository


def test_a_path_that_is_not_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidWorkspaceError, match="not a directory"):
        find_workspace(str(tmp_path / "nowhere"), {})


def test_the_default_is_the_repository_around_the_current_directory(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = repository / "some" / "where"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find_workspace(None, {}) == repository


def test_a_directory_outside_of_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidWorkspaceError, match="no git repository contains it"):
        enclosing_repository(tmp_path)


def test_a_deleted_current_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InvalidWorkspaceError, match="was deleted"):
        find_workspace(None, {})


def test_a_linked_worktree_leads_to_the_main_one(repository: Path, git: Git) -> None:
    linked = repository.parent / "linked"
    git(repository, "worktree", "add", "-q", str(linked))
    (linked / "below").mkdir()
    assert enclosing_repository(linked / "below") == repository


def test_a_worktree_with_relative_links_leads_to_the_main_one(repository: Path, git: Git) -> None:
    linked = repository / ".worktrees" / "linked"
    git(repository, "worktree", "add", "-q", str(linked))
    (linked / ".git").write_text("gitdir: ../../.git/worktrees/linked\n")
    assert enclosing_repository(linked) == repository


def test_a_directory_within_dot_git_leads_to_the_repository(repository: Path) -> None:
    assert enclosing_repository(repository / ".git" / "objects") == repository


def test_a_bare_repository_is_its_own_workspace(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare")
    assert enclosing_repository(tmp_path / "bare" / "refs") == tmp_path / "bare"


def test_a_worktree_of_a_bare_repository_leads_to_it(
    repository: Path, tmp_path: Path, git: Git
) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare")
    git(tmp_path / "bare", "worktree", "add", "-q", "../linked", "main")
    assert enclosing_repository(tmp_path / "linked") == tmp_path / "bare"


def test_a_directory_beside_its_bare_repository_is_the_workspace(
    repository: Path, tmp_path: Path, git: Git
) -> None:
    project = tmp_path / "project"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(project / ".bare"))
    (project / ".git").write_text("gitdir: ./.bare\n")
    git(project, "worktree", "add", "-q", "linked", "main")
    assert enclosing_repository(project) == project
    assert enclosing_repository(project / "linked") == project


@pytest.fixture
def submodule(repository: Path, tmp_path: Path, git: Git) -> Path:
    git(tmp_path, "init", "-q", "outer")
    git(tmp_path / "outer", "submodule", "add", "-q", str(repository), "inner")
    return tmp_path / "outer" / "inner"


def test_a_submodule_is_a_workspace_of_its_own(submodule: Path) -> None:
    assert enclosing_repository(submodule) == submodule


def test_a_worktree_of_a_submodule_is_refused(submodule: Path, git: Git) -> None:
    linked = submodule.parent / "linked"
    git(submodule, "worktree", "add", "-q", str(linked))
    with pytest.raises(InvalidWorkspaceError, match="--workspace"):
        enclosing_repository(linked)


def test_a_worktree_whose_repository_has_moved_is_refused(repository: Path, git: Git) -> None:
    linked = repository.parent / "linked"
    git(repository, "worktree", "add", "-q", str(linked))
    repository.rename(repository.parent / "moved")
    with pytest.raises(InvalidWorkspaceError, match="which does not exist"):
        enclosing_repository(linked)


def test_a_directory_called_dot_git_is_not_enough(repository: Path) -> None:
    below = repository / "below"
    (below / ".git").mkdir(parents=True)
    assert enclosing_repository(below) == repository
