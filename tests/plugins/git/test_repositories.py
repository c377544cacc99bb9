"""Every kind of repository and path works or is refused with a clear error."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from frith.errors import InvalidWorkspaceError, WorkspaceError
from frith.model import AtStake
from frith.ports import MarkerState, Presence
from frith_git.repository import GitFileError

from .conftest import MakeRepo, Repo


async def _lives(repo: Repo, existing: str | None = None) -> None:
    """Show that a session can be created, found, restored, rebuilt and removed there."""
    session = await repo.create(existing or "feature/x", existing=bool(existing))
    await repo.recovery.remember(session, MarkerState.LIVE)
    tree = Path(session.worktree_path)
    assert repo.git("status", "--porcelain", at=tree) == ""
    assert await repo.inspect(session) == AtStake()
    assert (await repo.workspace.locate([session]))[session.id].presence == Presence.PRESENT
    assert [found.session for found in await repo.recovery.rebuild()] == [session]
    assert await repo.workspace.repair() == ()
    (tree / "file").write_text("work")
    assert (await repo.inspect(session)).untracked == ("file",)
    (tree / "file").unlink()
    await repo.workspace.remove(session)
    assert not tree.exists()


@pytest.mark.parametrize(
    "name", ["with space", "new\nline", "'quo\"ted", "-dash", "grün", "a:b", "[glob]*", "trail "]
)
async def test_a_workspace_of_any_name_works(make_repo: MakeRepo, name: str) -> None:
    await _lives(make_repo(name))


async def test_a_workspace_whose_path_is_not_utf8_is_refused(make_repo: MakeRepo) -> None:
    repo = make_repo(os.fsdecode(b"caf\xe9"))
    for doing in (repo.plan, repo.recovery.rebuild):
        with pytest.raises(InvalidWorkspaceError, match="UTF-8") as caught:
            await doing()
        str(caught.value).encode()


async def test_a_workspace_reached_through_a_link_works(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo.path)
    await _lives(type(repo)(tmp_path / "link"))


async def test_worktrees_in_a_linked_directory_work(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (repo.path / ".worktrees").symlink_to(tmp_path / "disk")
    await _lives(repo)


async def test_a_bare_repository_works(repo: Repo, tmp_path: Path) -> None:
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    await _lives(type(repo)(tmp_path / "bare.git"))


async def test_the_main_branch_of_a_bare_repository_can_be_checked_out(
    repo: Repo, tmp_path: Path
) -> None:
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    await _lives(type(repo)(tmp_path / "bare.git"), existing="main")


async def test_a_linked_worktree_as_workspace_works(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "linked"))
    linked = type(repo)(tmp_path / "linked")
    await _lives(linked)
    session = await linked.create("another")
    main = await linked.inspect(session.evolve(worktree_path=str(repo.path)))
    assert main.blocked == ("it is the main worktree",)


async def test_a_separate_git_directory_works(repo: Repo, tmp_path: Path) -> None:
    repo.git("init", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere"))
    await _lives(repo)


async def test_a_submodule_as_workspace_works(repo: Repo, make_repo: MakeRepo) -> None:
    make_repo("lib")
    repo.git("submodule", "--quiet", "add", "../lib", "lib")
    await _lives(type(repo)(repo.path / "lib"))


async def test_a_sparse_checkout_stays_sparse(repo: Repo) -> None:
    repo.git("sparse-checkout", "set", "--no-cone", "/src/")
    session = await repo.create()
    plain = repo.path / ".worktrees/plain"
    repo.git("worktree", "add", "--quiet", "-b", "plain", str(plain))
    assert sorted(os.listdir(session.worktree_path)) == sorted(os.listdir(plain)) == [".git", "src"]
    assert await repo.inspect(session) == AtStake()
    (Path(session.worktree_path) / "README").write_text("written over what is left out")
    assert (await repo.inspect(session)).changed == ("README",)


async def test_a_repository_without_commits_is_refused(repo: Repo, tmp_path: Path) -> None:
    repo.git("init", "--quiet", str(tmp_path / "empty"))
    with pytest.raises(InvalidWorkspaceError, match="first commit"):
        await type(repo)(tmp_path / "empty").plan()
    planned = replace(await repo.plan(), base_oid=None)
    with pytest.raises(InvalidWorkspaceError, match="first commit"):
        await repo.workspace.create(planned)


async def test_a_sha256_repository_works(repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "sha256"
    repo.git("init", "--quiet", "--object-format=sha256", str(path))
    other = type(repo)(path)
    (path / "README").write_text("hello")
    other.commit()
    await _lives(other)


async def test_a_directory_inside_a_repository_is_refused_with_the_top_directory(
    repo: Repo,
) -> None:
    inside = type(repo)(repo.path / "src")
    with pytest.raises(InvalidWorkspaceError, match="top directory") as caught:
        await inside.plan()
    assert repr(str(repo.path)) in str(caught.value)


async def test_a_directory_that_is_not_a_repository_is_refused(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(InvalidWorkspaceError, match="git init"):
        await type(repo)(tmp_path / "plain").plan()


async def test_a_broken_git_directory_is_refused_and_no_enclosing_repository_used(
    repo: Repo,
) -> None:
    broken = repo.path / "src"
    (broken / ".git").mkdir()
    with pytest.raises(InvalidWorkspaceError):
        await type(repo)(broken).plan()
    (broken / ".git/HEAD").write_text("rubbish")
    (broken / ".git/objects").mkdir()
    (broken / ".git/refs").mkdir()
    with pytest.raises(WorkspaceError):
        await type(repo)(broken).plan()


async def test_a_missing_workspace_is_refused(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(InvalidWorkspaceError, match="does not exist"):
        await type(repo)(tmp_path / "missing").plan()


async def test_a_file_as_workspace_is_refused(repo: Repo) -> None:
    with pytest.raises(InvalidWorkspaceError, match="not a directory"):
        await type(repo)(repo.path / "README").plan()


@pytest.mark.requirement("R5.2")
async def test_an_unreadable_workspace_is_not_reported_as_missing(
    repo: Repo, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(GitFileError):
        await type(repo)(tmp_path / "loop").plan()


async def test_a_repository_that_git_does_not_trust_is_refused(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A switch of git's own tests: every directory counts as another user's.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(InvalidWorkspaceError, match=r"safe\.directory"):
        await repo.plan()


async def test_file_names_of_any_bytes_are_checked_out(repo: Repo) -> None:
    for name in (b"caf\xe9", b"new\nline", b"-dash", b" space "):
        Path(os.fsdecode(os.fsencode(repo.path) + b"/" + name)).write_text("x")
    repo.commit()
    await _lives(repo)
