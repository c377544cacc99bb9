"""What removing a worktree would destroy."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from frith.model import AtStake
from frith_git import GitWorkspaceOptions
from frith_git.git import GitError
from frith_git.repository import GitFileError
from frith_git.workspace import GitWorkspace


@pytest.fixture
async def session(repo):
    return await repo.create()


@pytest.fixture
def tree(session):
    return Path(session.worktree_path)


async def test_a_fresh_worktree_has_nothing_at_stake(repo, session):
    assert await repo.inspect(session) == AtStake()


async def test_commits_on_a_branch_are_not_at_stake(repo, session, tree):
    (tree / "new").write_text("x")
    repo.commit(at=tree)
    assert not await repo.inspect(session)


@pytest.mark.requirement("R2.8")
async def test_staged_changed_untracked_and_ignored_files_are(repo, session, tree):
    (tree / "README").write_text("changed")
    (tree / "staged").write_text("x")
    repo.git("add", "staged", at=tree)
    (tree / "untracked").write_text("x")
    (tree / ".env").write_text("SECRET=1")
    assert await repo.inspect(session) == AtStake(
        staged=("staged",), changed=("README",), untracked=("untracked",), ignored=(".env",)
    )


async def test_a_deleted_and_a_renamed_file_are_changes(repo, session, tree):
    (tree / "README").unlink()
    repo.git("mv", "src/main.py", "src/other.py", at=tree)
    found = await repo.inspect(session)
    assert found.changed == ("README",)
    assert set(found.staged) == {"src/main.py", "src/other.py"}


async def test_disposable_things_are_not(repo, session, tree):
    for name in ("node_modules/a/b", "src/__pycache__/x.pyc", "y.pyc"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("x")
    assert not await repo.inspect(session)


async def test_a_disposable_name_does_not_excuse_what_is_not_ignored(repo, session, tree):
    (tree / ".gitignore").write_text("")
    (tree / "node_modules").mkdir()
    (tree / "node_modules/mine").write_text("x")
    assert (await repo.inspect(session)).untracked == ("node_modules/",)


async def test_what_is_disposable_is_a_setting(repo, session, tree):
    (tree / "build").mkdir()
    (tree / "build/out").write_text("x")
    (tree / "y.pyc").write_text("x")
    options = GitWorkspaceOptions(disposable=("build/*", "bui*"))
    found = await GitWorkspace(options, repo.path).inspect(session)
    assert found.ignored == ("y.pyc",)
    options = GitWorkspaceOptions(disposable=("src/build",))
    found = await GitWorkspace(options, repo.path).inspect(session)
    assert found.ignored == ("build/", "y.pyc")


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
async def test_a_change_that_git_was_told_not_to_see_is_at_stake(repo, session, tree, flag):
    repo.git("update-index", flag, "README", "src/main.py", at=tree)
    assert not await repo.inspect(session)
    (tree / "README").write_text("HELLO\n")  # of the same length
    assert (await repo.inspect(session)).changed == ("README",)


async def test_status_settings_hide_nothing(repo, session, tree):
    repo.git("config", "status.showUntrackedFiles", "no")
    repo.git("config", "status.relativePaths", "true")
    repo.git("config", "status.branch", "true")
    repo.git("config", "status.showStash", "true")
    (tree / "untracked").write_text("x")
    assert (await repo.inspect(session)).untracked == ("untracked",)


async def test_a_commit_on_a_detached_head_is_at_stake_until_a_branch_has_it(repo, session, tree):
    repo.git("checkout", "--quiet", "--detach", at=tree)
    assert not await repo.inspect(session)
    lost = repo.commit("lost", at=tree)
    assert (await repo.inspect(session)).commits == (lost,)
    repo.git("branch", "kept", lost)
    assert not await repo.inspect(session)


async def test_commits_of_a_branch_that_was_deleted_are_at_stake(repo, session, tree):
    lost = repo.commit("lost", at=tree)
    repo.git("update-ref", "-d", "refs/heads/feature/x")
    assert (await repo.inspect(session)).commits == (lost,)


async def test_a_commit_that_only_a_ref_of_the_worktree_has_is_at_stake(repo, session, tree):
    kept = repo.commit("kept", at=tree)
    repo.git("update-ref", "refs/worktree/mine", "HEAD", at=tree)
    repo.git("reset", "--quiet", "--hard", "HEAD~1", at=tree)
    assert (await repo.inspect(session)).commits == (kept,)


async def test_a_stash_is_not_at_stake_for_the_worktrees_share_it(repo, session, tree):
    (tree / "README").write_text("changed")
    repo.git("stash", at=tree)
    assert not await repo.inspect(session)


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick", "revert", "bisect"])
async def test_an_operation_in_progress_is_named(repo, session, tree, operation):
    (tree / "README").write_text("one")
    repo.commit("one", at=tree)
    repo.git("checkout", "--quiet", "-B", "side", "HEAD~1", at=tree)
    (tree / "README").write_text("two")
    repo.commit("two", at=tree)
    args = {
        "merge": ["merge", "feature/x"],
        "rebase": ["rebase", "feature/x"],
        "cherry-pick": ["cherry-pick", "feature/x"],
        "revert": ["revert", "feature/x"],
        "bisect": ["bisect", "start"],
    }[operation]
    stops = nullcontext() if operation == "bisect" else pytest.raises(AssertionError)
    with stops:
        repo.git(*args, at=tree)
    found = await repo.inspect(session)
    assert found.operation == operation
    assert operation == "bisect" or "README" in found.changed


async def test_a_repository_within_is_work(repo, session, tree):
    repo.git("init", "--quiet", "sub/nested", at=tree)
    assert (await repo.inspect(session)).untracked == ("sub/",)


async def test_a_repository_within_a_tracked_directory_is_work(repo, session, tree):
    repo.git("init", "--quiet", "src", at=tree)
    assert (await repo.inspect(session)).untracked == ("src/.git/",)


async def test_a_worktree_of_this_repository_within_blocks(repo, session, tree):
    repo.git("worktree", "add", "--quiet", "-b", "nested", f"{tree}/build/nested")
    assert any("build/nested" in why for why in (await repo.inspect(session)).blocked)


async def test_a_worktree_of_another_repository_within_blocks(repo, session, tree, make_repo):
    other = make_repo("other")
    other.git("worktree", "add", "--quiet", "-b", "nested", f"{tree}/build/nested")
    assert any("build/nested" in why for why in (await repo.inspect(session)).blocked)


@pytest.mark.requirement("R2.9")
async def test_the_main_worktree_is_blocked(repo, session):
    main = session.evolve(worktree_path=str(repo.path))
    assert (await repo.inspect(main)).blocked == ("it is the main worktree",)


async def test_a_worktree_elsewhere_is_blocked(repo, session, tmp_path):
    repo.git("worktree", "add", "--quiet", "-b", "mine", str(tmp_path / "mine"))
    found = await repo.inspect(session.evolve(worktree_path=str(tmp_path / "mine")))
    assert "is not in" in found.blocked[0]


async def test_a_directory_that_is_no_worktree_is_blocked(repo, session):
    stray = repo.path / ".worktrees" / "stray"
    stray.mkdir()
    (stray / "file").write_text("x")
    found = await repo.inspect(session.evolve(worktree_path=str(stray)))
    assert found.blocked == ("it is not a worktree of this repository",)


async def test_a_worktree_locked_by_somebody_else_is_blocked(repo, session, tree):
    repo.git("worktree", "unlock", str(tree))
    repo.git("worktree", "lock", "--reason", "on a stick", str(tree))
    assert (await repo.inspect(session)).blocked == ("it is locked: on a stick",)


async def test_git_never_climbs_from_a_worktree_without_its_link(repo, session, tree):
    (repo.path / "untracked").write_text("in the workspace")
    (tree / ".git").unlink()
    found = await repo.inspect(session)
    assert "repair" in found.blocked[0]
    assert not found.untracked


async def test_a_link_to_another_worktree_is_blocked(repo, session, tree):
    other = await repo.create("other")
    shutil.copy(f"{other.worktree_path}/.git", tree / ".git")
    assert "repair" in (await repo.inspect(session)).blocked[0]


async def test_a_symbolic_link_is_blocked(repo, session, tree, tmp_path):
    tree.rename(tmp_path / "moved")
    tree.symlink_to(tmp_path / "moved")
    assert (await repo.inspect(session)).blocked == ("it is a symbolic link",)


async def test_a_file_in_its_place_is_blocked(repo, session, tree):
    shutil.rmtree(tree)
    tree.write_text("theirs")
    assert (await repo.inspect(session)).blocked == ("it is not a directory",)


async def test_a_missing_worktree_has_nothing_at_stake(repo, session, tree):
    shutil.rmtree(tree)
    assert await repo.inspect(session) == AtStake()
    shutil.rmtree(repo.admin(session))
    assert await repo.inspect(session) == AtStake()


async def test_commits_that_only_a_missing_worktree_reaches_are_at_stake(repo, session, tree):
    repo.git("checkout", "--quiet", "--detach", at=tree)
    lost = repo.commit("lost", at=tree)
    shutil.rmtree(tree)
    assert (await repo.inspect(session)).commits == (lost,)


@pytest.mark.requirement("R2.8")
@pytest.mark.parametrize("how", ["--force", "--intent-to-add"])
async def test_what_was_staged_in_a_missing_worktree_is_at_stake(repo, session, tree, how):
    (tree / "new").write_text("work")
    repo.git("add", how, "new", at=tree)
    shutil.rmtree(tree)
    assert await repo.inspect(session) == AtStake(staged=("new",))


async def test_what_was_staged_in_an_emptied_worktree_is_at_stake(repo, session, tree):
    (tree / "README").write_text("work")
    repo.git("add", "README", at=tree)
    shutil.rmtree(tree)
    tree.mkdir()
    assert await repo.inspect(session) == AtStake(staged=("README",))


async def test_all_that_a_missing_worktree_has_staged_is_at_stake_without_a_commit(
    repo, session, tree
):
    repo.git("switch", "--quiet", "--orphan", "unborn", at=tree)
    (tree / "new").write_text("work")
    repo.git("add", "new", at=tree)
    shutil.rmtree(tree)
    assert (await repo.inspect(session)).staged == ("new",)


async def test_a_damaged_index_of_a_missing_worktree_is_not_taken_for_nothing(repo, session, tree):
    (repo.admin(session) / "index").write_bytes(b"rubbish")
    shutil.rmtree(tree)
    with pytest.raises(GitError):
        await repo.inspect(session)


async def test_names_of_any_bytes_are_shown_in_printable_unicode(repo, session, tree):
    for name in (b"caf\xe9", b"new\nline", "grün".encode(), b'"quoted"', b"\x1b[31m"):
        Path(os.fsdecode(os.fsencode(tree) + b"/" + name)).write_text("x")
    found = await repo.inspect(session)
    assert set(found.untracked) == {
        "caf\\xe9",
        "new\\nline",
        "grün",
        '"quoted"',
        "\\x1b[31m",
    }


async def test_a_hidden_change_in_a_file_of_any_name_is_found(repo, session, tree):
    name = os.fsdecode(b"line\nfeed\xe9")
    (tree / name).write_text("one")
    repo.commit(at=tree)
    repo.git("update-index", "--assume-unchanged", "--", name, at=tree)
    (tree / name).write_text("two")
    assert (await repo.inspect(session)).changed == ("line\\nfeed\\xe9",)


async def test_what_cannot_be_read_is_not_taken_for_nothing(repo, session, tree):
    (repo.admin(session) / "index").write_bytes(b"rubbish")
    with pytest.raises(GitError):
        await repo.inspect(session)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_a_directory_that_cannot_be_read_is_not_taken_for_empty(repo, session, tree):
    (tree / "src").chmod(0)
    try:
        with pytest.raises(GitFileError):
            await repo.inspect(session)
    finally:
        (tree / "src").chmod(0o755)


async def test_inspecting_takes_no_lock(repo, session, tree):
    (repo.admin(session) / "index.lock").touch()
    (tree / "README").write_text("changed")
    assert (await repo.inspect(session)).changed == ("README",)
