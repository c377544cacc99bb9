"""Creating worktrees, and what git does when it creates one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frith.errors import (
    BaseNotFoundError,
    BranchBlockedError,
    BranchInUseError,
    BranchNotFoundError,
    BranchTakenError,
    InvalidBranchError,
    WorkspaceError,
)
from frith_git import GitWorkspaceOptions
from frith_git.git import Git, GitError
from frith_git.workspace import GitWorkspace


@pytest.mark.requirement("R1.5")
async def test_the_worktree_lies_in_the_workspace_under_the_id(repo):
    plan = await repo.plan()
    await repo.workspace.create(plan)
    assert plan.path == f"{repo.path}/.worktrees/{plan.session_id}"
    assert sorted(os.listdir(plan.path)) == [".git", ".gitignore", "README", "src"]


async def test_it_is_clean_on_a_new_branch_at_the_base(repo):
    first = repo.git("rev-parse", "HEAD")
    repo.commit("second")
    session = await repo.create("feature/x", base=first)
    assert repo.git("status", "--porcelain=v2", "--branch", at=session.worktree_path) == (
        f"# branch.oid {first}\n# branch.head feature/x"
    )


async def test_without_a_base_it_starts_at_the_head_of_the_workspace(repo):
    repo.git("switch", "--quiet", "--create", "elsewhere")
    head = repo.commit("there")
    assert (await repo.plan()).base_oid == head


async def test_it_is_locked_for_the_session(repo):
    session = await repo.create()
    assert (repo.admin(session) / "locked").read_text().strip() == f"frith {session.id}"


async def test_the_branch_tracks_nothing(repo):
    repo.git("config", "branch.autoSetupMerge", "always")
    await repo.create()
    assert "branch." not in repo.git("config", "--local", "--list").replace("branch.auto", "")


async def test_an_existing_branch_is_checked_out_where_it_is(repo):
    repo.git("branch", "feature/x")
    session = await repo.create("feature/x", existing=True)
    assert repo.git("symbolic-ref", "HEAD", at=session.worktree_path) == "refs/heads/feature/x"


@pytest.mark.requirement("R1.11")
async def test_a_new_branch_that_exists_is_refused(repo):
    repo.git("branch", "feature/x")
    with pytest.raises(BranchTakenError) as caught:
        await repo.plan("feature/x")
    assert caught.value.branch == "feature/x"


@pytest.mark.parametrize(("exists", "wanted"), [("feature", "feature/x"), ("a/b/c", "a/b")])
async def test_a_branch_that_cannot_be_beside_another_is_taken(repo, exists, wanted):
    repo.git("branch", exists)
    assert await repo.workspace.taken([wanted, "free"]) == {wanted}
    with pytest.raises(BranchBlockedError) as caught:
        await repo.create(wanted)
    assert (caught.value.branch, caught.value.blocking) == (wanted, exists)
    assert repo.branches() == {"main", exists}


@pytest.mark.parametrize(("exists", "wanted"), [("feature", "feature/x"), ("a/b/c", "a/b")])
async def test_a_branch_that_came_to_block_another_since_the_plan_is_named(repo, exists, wanted):
    plan = await repo.plan(wanted)
    repo.git("branch", exists)
    repo.git("pack-refs", "--all")
    with pytest.raises(BranchBlockedError) as caught:
        await repo.workspace.create(plan)
    assert caught.value.blocking == exists
    assert repo.branches() == {"main", exists}


async def test_existing_branches_are_taken_and_impossible_ones_are_not(repo):
    repo.git("branch", "feature/x")
    asked = ["feature/x", "feature/y", "main", "no good", "main2"]
    assert await repo.workspace.taken(asked) == {"feature/x", "main"}
    assert await repo.workspace.taken([]) == frozenset()


async def test_a_branch_that_has_come_into_being_since_the_plan_is_refused(repo):
    plan = await repo.plan("feature/x")
    repo.git("branch", "feature/x")
    with pytest.raises(BranchTakenError):
        await repo.workspace.create(plan)
    assert "feature/x" in repo.branches()
    assert repo.worktrees() == 1


@pytest.mark.requirement("R1.12")
async def test_an_existing_branch_that_is_none_is_refused(repo):
    with pytest.raises(BranchNotFoundError):
        await repo.plan("feature/x", existing=True)


async def test_a_branch_checked_out_in_the_workspace_is_refused(repo):
    with pytest.raises(BranchInUseError) as caught:
        await repo.create("main", existing=True)
    assert caught.value.path == str(repo.path)
    assert repo.worktrees() == 1


async def test_a_branch_checked_out_in_another_worktree_is_refused(repo):
    session = await repo.create("feature/x")
    with pytest.raises(BranchInUseError) as caught:
        await repo.create("feature/x", existing=True)
    assert caught.value.path == session.worktree_path


async def test_a_branch_being_rebased_elsewhere_is_refused(repo):
    session = await repo.create("feature/x")
    rebasing = repo.admin(session) / "rebase-merge"
    repo.git("checkout", "--quiet", "--detach", at=session.worktree_path)
    rebasing.mkdir()
    (rebasing / "head-name").write_text("refs/heads/feature/x\n")
    with pytest.raises(BranchInUseError):
        await repo.create("feature/x", existing=True)


@pytest.mark.parametrize("base", ["nowhere", "", "HEAD:README", "a\nb", "-x", "\udcff", "a b"])
async def test_a_base_that_names_no_commit_is_refused(repo, base):
    with pytest.raises(BaseNotFoundError) as caught:
        await repo.plan(base=base)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", "HEAD", "x.lock", "\udcff", "n" * 300])
async def test_an_invalid_branch_is_refused(repo, branch):
    with pytest.raises(InvalidBranchError):
        await repo.plan(branch)


async def test_what_lies_at_the_path_already_is_left_alone(repo):
    plan = await repo.plan()
    Path(plan.path).mkdir(parents=True)
    (Path(plan.path) / "precious").write_text("work")
    with pytest.raises(WorkspaceError, match="exists already"):
        await repo.workspace.create(plan)
    assert (Path(plan.path) / "precious").read_text() == "work"
    assert repo.branches() == {"main"}


async def test_creating_twice_leaves_the_first_worktree_alone(repo):
    plan = await repo.plan()
    await repo.workspace.create(plan)
    with pytest.raises(WorkspaceError):
        await repo.workspace.create(plan)
    assert repo.git("status", "--porcelain", at=plan.path) == ""


async def test_the_repository_ignores_the_worktrees_and_the_state_file(repo):
    await repo.create("one")
    await repo.create("two")
    (repo.path / ".claude-container-sessions.json").write_text("{}")
    assert repo.git("status", "--porcelain") == ""
    lines = (repo.path / ".git/info/exclude").read_text().splitlines()
    assert lines.count("/.worktrees/") == 1


async def test_the_users_own_excludes_stay(repo):
    exclude = repo.path / ".git/info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("mine")
    exclude.chmod(0o640)
    await repo.create()
    assert exclude.read_text().splitlines()[0] == "mine"
    assert exclude.stat().st_mode & 0o777 == 0o640


async def test_looking_changes_nothing(repo):
    def files():
        found = (p for p in repo.path.rglob("*") if p.is_file())
        return {p: p.stat().st_mtime_ns for p in found}

    before = files()
    await repo.workspace.taken(["feature/x"])
    await repo.plan()
    await repo.workspace.locate([])
    await repo.recovery.rebuild()
    assert files() == before


async def test_a_plan_costs_no_git_process_and_a_creation_four(repo):
    plan = await repo.plan()
    assert repo.workspace.git.runs == 0
    await repo.workspace.create(plan)
    assert repo.workspace.git.runs == 4


async def test_the_hook_is_told_what_git_tells_it(repo, hook):
    head = repo.git("rev-parse", "HEAD")
    hook('echo "$1 $2 $3 $PWD ${GIT_DIR-none}" >seen')
    session = await repo.create()
    seen = (Path(session.worktree_path) / "seen").read_text()
    assert seen == f"{'0' * 40} {head} 1 {session.worktree_path} none\n"


async def test_a_hook_elsewhere_is_found(repo):
    (repo.path / "hooks").mkdir()
    script = repo.path / "hooks" / "post-checkout"
    script.write_text("touch seen\n")  # without an interpreter, as git takes it, too
    script.chmod(0o755)
    repo.git("config", "core.hooksPath", str(script.parent))
    session = await repo.create()
    assert (Path(session.worktree_path) / "seen").exists()


async def test_a_failing_hook_is_logged_and_the_worktree_stays(repo, hook, caplog):
    hook("echo went wrong; exit 3")
    session = await repo.create()
    assert Path(session.worktree_path, "README").exists()
    assert "post_checkout_hook_failed" in caplog.text
    assert "went wrong" in caplog.text


async def test_a_hook_that_is_no_program_is_logged_and_the_worktree_stays(repo, hook, caplog):
    hook("").write_text("#!/no/such/interpreter\n")
    session = await repo.create()
    assert Path(session.worktree_path, "README").exists()
    assert "post_checkout_hook_failed" in caplog.text


async def test_what_a_hook_leaves_running_does_not_hold_the_creation_up(repo, hook, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    hook(f"cat {tmp_path}/fifo &")
    await repo.create()
    (tmp_path / "fifo").write_text("now it may end")


@pytest.mark.parametrize(("threshold", "expected"), [(3, True), (4, False)])
async def test_many_files_are_written_by_several_processes(repo, monkeypatch, threshold, expected):
    asked = []
    run = Git.run

    async def recording(self, directory, *args, **options):
        asked.extend(args)
        return await run(self, directory, *args, **options)

    monkeypatch.setattr(Git, "run", recording)
    monkeypatch.setattr("frith_git.checkout._MANY_FILES", threshold)
    workspace = GitWorkspace(GitWorkspaceOptions(checkout_workers=2), repo.path)
    plan = await repo.plan()
    await workspace.create(plan)
    assert ("checkout.workers=2" in asked) == expected
    assert repo.git("status", "--porcelain", at=plan.path) == ""


async def test_a_git_that_fails_says_what_it_said(repo):
    plan = await repo.plan()
    (repo.path / ".git/refs/heads/feature").write_text("a file in the way")
    with pytest.raises(GitError) as caught:
        await repo.workspace.create(plan)
    assert caught.value.code == "GIT_FAILED"
    assert caught.value.argv[0] == "git"
    assert caught.value.exit_code == 128
    assert "refs/heads/feature" in caught.value.stderr
