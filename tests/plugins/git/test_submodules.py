"""Work in submodules, whose git directories are removed with the worktree."""

from __future__ import annotations

from pathlib import Path

import pytest

from frith.errors import WorkAtStakeError
from frith.model import Session

from .conftest import MakeRepo, Repo


@pytest.fixture
async def session(repo: Repo, make_repo: MakeRepo) -> Session:
    """A session in whose worktree the submodule ``lib`` is checked out."""
    make_repo("lib")
    repo.git("submodule", "--quiet", "add", "../lib", "lib")
    repo.commit("with a submodule")
    session = await repo.create()
    repo.git("submodule", "--quiet", "update", "--init", at=session.worktree_path)
    return session


@pytest.fixture
def lib(session: Session) -> Path:
    return Path(session.worktree_path) / "lib"


async def test_a_worktree_starts_without_the_files_of_submodules(
    repo: Repo, make_repo: MakeRepo
) -> None:
    make_repo("lib")
    repo.git("submodule", "--quiet", "add", "../lib", "lib")
    repo.commit("with a submodule")
    session = await repo.create()
    assert list((Path(session.worktree_path) / "lib").iterdir()) == []
    assert not await repo.inspect(session)
    await repo.workspace.remove(session)


async def test_a_clean_submodule_is_removed_with_its_worktree(
    repo: Repo, session: Session, lib: Path
) -> None:
    assert not await repo.inspect(session)
    await repo.workspace.remove(session)
    assert not lib.exists()


@pytest.mark.requirement("R2.8")
@pytest.mark.parametrize("name", ["README", "untracked", ".env"])
async def test_a_file_in_a_submodule_is_at_stake(
    repo: Repo, session: Session, lib: Path, name: str
) -> None:
    (lib / name).write_text("work")
    with pytest.raises(WorkAtStakeError, match=rf"lib: .*{name}"):
        await repo.workspace.remove(session)
    assert (lib / name).exists()


async def test_disposable_files_in_a_submodule_are_not_at_stake(
    repo: Repo, session: Session, lib: Path
) -> None:
    (lib / "x.pyc").write_text("x")
    assert not await repo.inspect(session)


@pytest.mark.requirement("R2.8")
async def test_a_commit_in_a_submodule_is_at_stake_until_it_is_pushed(
    repo: Repo, session: Session, lib: Path
) -> None:
    commit = repo.commit("in the submodule", at=lib)
    found = await repo.inspect(session)
    assert found.submodules == (f"lib: 1 commits not pushed ({commit})",)
    assert found.changed == ("lib",)
    repo.git("push", "--quiet", "origin", "HEAD:refs/heads/pushed", at=lib)
    assert not (await repo.inspect(session)).submodules


async def test_a_stash_in_a_submodule_is_at_stake(repo: Repo, session: Session, lib: Path) -> None:
    (lib / "README").write_text("changed")
    repo.git("stash", at=lib)
    assert (await repo.inspect(session)).submodules


async def test_an_operation_in_a_submodule_is_at_stake(
    repo: Repo, session: Session, lib: Path
) -> None:
    repo.git("bisect", "start", at=lib)
    assert (await repo.inspect(session)).submodules == ("lib: bisect in progress",)


async def test_commits_of_a_submodule_that_is_no_longer_checked_out_are_at_stake(
    repo: Repo, session: Session, lib: Path
) -> None:
    repo.commit("in the submodule", at=lib)
    repo.git("submodule", "--quiet", "deinit", "--force", "lib", at=lib.parent)
    assert "not pushed" in (await repo.inspect(session)).submodules[0]


async def test_a_clean_submodule_that_is_no_longer_checked_out_is_removed(
    repo: Repo, session: Session, lib: Path
) -> None:
    repo.git("submodule", "--quiet", "deinit", "lib", at=lib.parent)
    await repo.workspace.remove(session)
    assert not lib.parent.exists()


async def test_a_submodule_of_a_submodule_is_inspected(
    repo: Repo, session: Session, lib: Path, make_repo: MakeRepo
) -> None:
    make_repo("inner")
    repo.git("submodule", "--quiet", "add", f"{repo.path}/../inner", "inner", at=lib)
    repo.commit("deeper", at=lib)
    repo.git("push", "--quiet", "origin", "HEAD:refs/heads/pushed", at=lib)
    repo.commit("lib moved", at=lib.parent)
    assert not await repo.inspect(session)
    repo.commit("unpushed", at=lib / "inner")
    found = (await repo.inspect(session)).submodules
    assert any(line.startswith("lib/inner: 1 commits not pushed") for line in found)


async def test_a_submodule_with_its_own_git_directory_is_inspected(
    repo: Repo, session: Session
) -> None:
    tree = Path(session.worktree_path)
    repo.git("init", "--quiet", "own", at=tree)
    commit = repo.commit("unpushed", at=tree / "own")
    repo.git("-c", "advice.addEmbeddedRepo=false", "add", "own", at=tree)
    repo.commit("registered", at=tree)
    assert (await repo.inspect(session)).submodules == (f"own: 1 commits not pushed ({commit})",)


async def test_a_submodule_that_cannot_be_read_is_at_stake(
    repo: Repo, session: Session, lib: Path
) -> None:
    modules = repo.admin(session) / "modules" / "lib"
    for packed in (modules / "objects").rglob("*"):
        if packed.is_file():
            packed.unlink()
    repo.git("submodule", "--quiet", "deinit", "--force", "lib", at=lib.parent)
    assert "cannot be read" in (await repo.inspect(session)).submodules[0]
