"""Removing worktrees: never work, unless forced, and by git."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path

import anyio
import pytest

from frith.errors import RemovalBlockedError, WorkAtStakeError
from frith.ports import MarkerState
from frith_git.git import Git, GitError
from frith_git.repository import GitFileError
from waiting import until


@pytest.fixture
async def session(repo):
    return await repo.create()


@pytest.fixture
def tree(session):
    return Path(session.worktree_path)


@pytest.mark.requirement("R2.7")
async def test_the_worktree_goes_and_the_branch_stays(repo, session, tree):
    await repo.workspace.remove(session)
    assert not tree.exists()
    assert not repo.admin(session).exists()
    assert "feature/x" in repo.branches()


@pytest.mark.requirement("R2.8")
@pytest.mark.parametrize("name", [".env", "untracked", "README"])
async def test_work_is_refused_and_named(repo, session, tree, name):
    (tree / name).write_text("work")
    with pytest.raises(WorkAtStakeError, match=name):
        await repo.workspace.remove(session)
    assert (tree / name).read_text() == "work"
    assert (repo.admin(session) / "locked").exists()


async def test_force_removes_work(repo, session, tree):
    (tree / ".env").write_text("work")
    (tree / "README").write_text("work")
    await repo.workspace.remove(session, force=True)
    assert not tree.exists()


async def test_disposable_things_go_without_force(repo, session, tree):
    (tree / "node_modules").mkdir()
    (tree / "node_modules/x").write_text("x")
    await repo.workspace.remove(session)
    assert not tree.exists()


@pytest.mark.requirement("R2.9")
async def test_a_registered_worktree_beneath_blocks_even_force(repo, session, tree):
    repo.git("worktree", "add", "--quiet", "-b", "nested", f"{tree}/build/nested")
    with pytest.raises(RemovalBlockedError):
        await repo.workspace.remove(session, force=True)
    assert (tree / "build/nested/README").exists()


@pytest.mark.requirement("R2.9")
async def test_the_main_worktree_blocks_even_force(repo, session):
    with pytest.raises(RemovalBlockedError):
        await repo.workspace.remove(session.evolve(worktree_path=str(repo.path)), force=True)
    assert (repo.path / "README").exists()


@pytest.mark.requirement("R2.9")
async def test_another_session_in_it_blocks_even_force(repo, session, tree):
    other = session.evolve(id="11111111-1111-4111-8111-111111111111")
    await repo.recovery.remember(session, MarkerState.LIVE)
    await repo.recovery.remember(other, MarkerState.LIVE)
    with pytest.raises(RemovalBlockedError, match=other.id):
        await repo.workspace.remove(session, force=True)


@pytest.mark.requirement("R2.5")
async def test_the_last_session_removes_a_shared_worktree_whoever_locked_it(repo, session, tree):
    other = session.evolve(id="11111111-1111-4111-8111-111111111111")
    await repo.recovery.remember(session, MarkerState.RELEASED)
    await repo.recovery.remember(other, MarkerState.LIVE)
    await repo.workspace.remove(other)
    assert not tree.exists()


async def test_whose_lock_it_is_shows_without_the_marker(repo, session, tree):
    other = session.evolve(id="11111111-1111-4111-8111-111111111111")
    await repo.workspace.remove(other)
    assert not tree.exists()


async def test_a_missing_worktree_is_no_error_and_is_forgotten_by_git(repo, session, tree):
    kept = await repo.create("kept")
    shutil.rmtree(tree)
    shutil.rmtree(kept.worktree_path)
    await repo.workspace.remove(session)
    assert not repo.admin(session).exists()
    assert repo.admin(kept).exists()
    await repo.workspace.remove(session)


async def test_an_emptied_directory_goes_too(repo, session, tree):
    shutil.rmtree(tree)
    tree.mkdir()
    await repo.workspace.remove(session)
    assert not tree.exists()
    assert not repo.admin(session).exists()


async def test_an_unlocked_worktree_is_removed(repo, session, tree):
    repo.git("worktree", "unlock", str(tree))
    await repo.workspace.remove(session)
    assert not tree.exists()


async def test_if_git_refuses_it_stays_locked_and_whole(repo, session, tree, monkeypatch):
    inspector = "frith_git.inspect.tree_status"

    async def blind(*_):
        from frith_git.status import TreeStatus

        return TreeStatus(commit="0" * 40)

    (tree / "untracked").write_text("written just after the inspection")
    monkeypatch.setattr(inspector, blind)
    monkeypatch.setattr("frith_git.inspect.unreachable_commits", _none)
    with pytest.raises(GitError, match="untracked"):
        await repo.workspace.remove(session)
    assert (tree / "untracked").exists()
    assert (repo.admin(session) / "locked").read_text().strip() == f"frith {session.id}"


@pytest.fixture
def stubborn(tree):
    """A directory in what is disposable from which git cannot delete a file."""
    directory = tree / "node_modules/module"
    directory.mkdir(parents=True)
    (directory / "file").write_text("x")
    directory.chmod(0o555)
    if os.access(directory, os.W_OK):
        pytest.skip("root deletes everything")
    yield directory
    if directory.exists():
        directory.chmod(0o755)


async def test_a_read_only_directory_goes_with_the_rest(repo, session, tree, stubborn):
    await repo.workspace.remove(session)
    assert not tree.exists()
    assert not repo.admin(session).exists()


async def test_what_a_link_in_it_leads_to_stays_as_it_is(repo, session, tree, stubborn, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("theirs")
    elsewhere.chmod(0o555)
    (tree / "node_modules/link").symlink_to(elsewhere)
    await repo.workspace.remove(session)
    assert (elsewhere / "file").read_text() == "theirs"
    assert elsewhere.stat().st_mode & 0o777 == 0o555


async def test_files_that_cannot_be_deleted_are_logged_and_the_worktree_is_removed(
    repo, session, tree, stubborn, caplog
):
    stubborn.chmod(0)
    await repo.workspace.remove(session)
    assert "worktree_files_left" in caplog.text
    assert str(tree) in caplog.text
    assert not repo.admin(session).exists()


_GIT = """#!{sh}
# Is git, but something wrote into the administrative directory while it was deleted.
case " $* " in *" worktree remove "*)
    {git} "$@" && mkdir -p {admin} && echo x >{admin}/index.lock
    exit 255;;
esac
exec {git} "$@"
"""


@pytest.fixture
def disturbed(repo, session, tmp_path, monkeypatch):
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    git, sh = shutil.which("git"), shutil.which("sh")
    fake.write_text(_GIT.format(sh=sh, git=git, admin=repo.admin(session)))
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")


async def test_what_is_written_into_it_while_git_removes_it_goes_too(
    repo, session, tree, disturbed
):
    await repo.workspace.remove(session)
    assert not tree.exists()
    assert not repo.admin(session).exists()


async def test_no_marker_is_written_while_that_is_deleted(repo, session, disturbed, monkeypatch):
    events = []

    def waits_for_a_lock():
        return any(thread.name == "frith-lock" for thread in threading.enumerate())

    async def update():
        await repo.recovery.remember(session, MarkerState.LIVE, durable=False)
        events.append("marker written")

    def delete(path, **options):
        if path == str(repo.admin(session)):
            anyio.from_thread.run(start_to_update)
            events.append("deleted")
        rmtree(path, **options)

    async def start_to_update():
        tasks.start_soon(update)
        await until(lambda: events or waits_for_a_lock())

    rmtree = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", delete)
    async with anyio.create_task_group() as tasks:
        await repo.workspace.remove(session)
    assert events == ["deleted", "marker written"]
    assert not repo.admin(session).exists()


async def test_where_it_cannot_be_told_what_git_did_nothing_is_deleted(
    repo, session, tree, monkeypatch
):
    def refuse(path, **options):
        if str(path).endswith("/gitdir"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return lstat(path, **options)

    async def fail(self, directory, *args, **options):
        if args[:2] == ("worktree", "remove"):
            monkeypatch.setattr(os, "lstat", refuse)
            raise GitError(["git", *args], 128, "no")
        return await run(self, directory, *args, **options)

    lstat, run = os.lstat, Git.run
    monkeypatch.setattr(Git, "run", fail)
    with pytest.raises(GitFileError):
        await repo.workspace.remove(session)
    monkeypatch.undo()
    assert (tree / "README").exists()
    assert repo.admin(session).is_dir()


async def _none(*_):
    return ()


async def test_removing_while_the_worktree_is_broken_removes_nothing(repo, session, tree):
    (tree / ".git").unlink()
    with pytest.raises(RemovalBlockedError):
        await repo.workspace.remove(session, force=True)
    assert (tree / "README").exists()
