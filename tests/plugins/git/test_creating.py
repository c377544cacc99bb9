"""Creating worktrees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from frith.errors import (
    BaseNotFoundError,
    BranchBlockedError,
    BranchInUseError,
    WorkspaceError,
)
from frith_git import GitWorkspaceOptions, git
from frith_git.git import GitError
from frith_git.workspace import GitWorkspace

from .conftest import Hook, Repo


@pytest.mark.requirement("R1.5")
async def test_the_worktree_is_in_the_workspace_and_named_by_the_id(repo: Repo) -> None:
    plan = await repo.plan()
    await repo.workspace.create(plan)
    assert plan.path == f"{repo.path}/.worktrees/{plan.session_id}"
    assert sorted(os.listdir(plan.path)) == [".git", ".gitignore", "README", "src"]


async def test_without_a_base_the_worktree_starts_at_the_head_of_the_workspace(repo: Repo) -> None:
    repo.git("switch", "--quiet", "--create", "elsewhere")
    head = repo.commit("there")
    assert (await repo.plan()).base_oid == head


async def test_the_worktree_is_locked_with_the_id_as_reason(repo: Repo) -> None:
    session = await repo.create()
    assert (repo.admin(session) / "locked").read_text().strip() == f"frith {session.id}"


@pytest.mark.parametrize(("exists", "wanted"), [("feature", "feature/x"), ("a/b/c", "a/b")])
async def test_a_branch_that_collides_with_another_is_taken(
    repo: Repo, exists: str, wanted: str
) -> None:
    repo.git("branch", exists)
    assert await repo.workspace.taken([wanted, "free"]) == {wanted}
    with pytest.raises(BranchBlockedError) as caught:
        await repo.create(wanted)
    assert (caught.value.branch, caught.value.blocking) == (wanted, exists)
    assert repo.branches() == {"main", exists}


@pytest.mark.parametrize(("exists", "wanted"), [("feature", "feature/x"), ("a/b/c", "a/b")])
async def test_a_colliding_branch_that_was_created_since_the_plan_is_named(
    repo: Repo, exists: str, wanted: str
) -> None:
    plan = await repo.plan(wanted)
    repo.git("branch", exists)
    repo.git("pack-refs", "--all")
    with pytest.raises(BranchBlockedError) as caught:
        await repo.workspace.create(plan)
    assert caught.value.blocking == exists
    assert repo.branches() == {"main", exists}


async def test_an_invalid_branch_name_is_not_taken(repo: Repo) -> None:
    assert await repo.workspace.taken(["main", "no good", "main2"]) == {"main"}


async def test_a_branch_checked_out_in_the_workspace_is_refused(repo: Repo) -> None:
    with pytest.raises(BranchInUseError) as caught:
        await repo.create("main", existing=True)
    assert caught.value.path == str(repo.path)
    assert repo.worktrees() == 1


async def test_a_branch_being_rebased_elsewhere_is_refused(repo: Repo) -> None:
    session = await repo.create("feature/x")
    rebasing = repo.admin(session) / "rebase-merge"
    repo.git("checkout", "--quiet", "--detach", at=session.worktree_path)
    rebasing.mkdir()
    (rebasing / "head-name").write_text("refs/heads/feature/x\n")
    with pytest.raises(BranchInUseError):
        await repo.create("feature/x", existing=True)


@pytest.mark.parametrize("base", ["HEAD:README", "a\nb", "\udcff", "a b"])
async def test_a_base_that_does_not_name_a_commit_is_refused(repo: Repo, base: str) -> None:
    with pytest.raises(BaseNotFoundError) as caught:
        await repo.plan(base=base)
    assert str(caught.value).isprintable()


async def test_creating_a_plan_twice_keeps_the_first_worktree(repo: Repo) -> None:
    plan = await repo.plan()
    await repo.workspace.create(plan)
    with pytest.raises(WorkspaceError):
        await repo.workspace.create(plan)
    assert repo.git("status", "--porcelain", at=plan.path) == ""


async def test_git_status_in_the_workspace_ignores_worktrees_and_state_file(repo: Repo) -> None:
    await repo.create("one")
    await repo.create("two")
    (repo.path / ".claude-container-sessions.json").write_text("{}")
    assert repo.git("status", "--porcelain") == ""
    lines = (repo.path / ".git/info/exclude").read_text().splitlines()
    assert lines.count("/.worktrees/") == 1


async def test_existing_lines_of_info_exclude_are_kept(repo: Repo) -> None:
    exclude = repo.path / ".git/info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("mine")
    exclude.chmod(0o640)
    await repo.create()
    assert exclude.read_text().splitlines()[0] == "mine"
    assert exclude.stat().st_mode & 0o777 == 0o640


async def test_a_plan_runs_no_git_process_and_a_creation_four(
    repo: Repo, git_runs: list[tuple[str, ...]]
) -> None:
    plan = await repo.plan()
    assert git_runs == []
    await repo.workspace.create(plan)
    assert len(git_runs) == 4


async def test_the_hook_gets_the_arguments_that_git_passes(repo: Repo, hook: Hook) -> None:
    head = repo.git("rev-parse", "HEAD")
    hook('echo "$1 $2 $3 $PWD ${GIT_DIR-none}" >seen')
    session = await repo.create()
    seen = (Path(session.worktree_path) / "seen").read_text()
    assert seen == f"{'0' * 40} {head} 1 {session.worktree_path} none\n"


async def test_a_hook_in_core_hookspath_is_run(repo: Repo) -> None:
    (repo.path / "hooks").mkdir()
    script = repo.path / "hooks" / "post-checkout"
    script.write_text("touch seen\n")  # without an interpreter line, which git accepts
    script.chmod(0o755)
    repo.git("config", "core.hooksPath", str(script.parent))
    session = await repo.create()
    assert (Path(session.worktree_path) / "seen").exists()


async def test_a_failing_hook_is_logged_and_the_worktree_stays(
    repo: Repo, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    hook("echo went wrong; exit 3")
    session = await repo.create()
    assert Path(session.worktree_path, "README").exists()
    assert "post_checkout_hook_failed" in caplog.text
    assert "went wrong" in caplog.text


async def test_a_hook_that_cannot_be_run_is_logged_and_the_worktree_stays(
    repo: Repo, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    hook("").write_text("#!/no/such/interpreter\n")
    session = await repo.create()
    assert Path(session.worktree_path, "README").exists()
    assert "post_checkout_hook_failed" in caplog.text


async def test_a_background_process_of_the_hook_does_not_delay_the_creation(
    repo: Repo, hook: Hook, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    hook(f"cat {tmp_path}/fifo &")
    await repo.create()
    (tmp_path / "fifo").write_text("now it may end")


@pytest.mark.parametrize(("threshold", "expected"), [(3, True), (4, False)])
async def test_a_large_worktree_is_filled_by_several_processes(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, threshold: int, expected: bool
) -> None:
    asked: list[str] = []
    run = git.run

    async def recording(directory: Any, *args: Any, **options: Any) -> Any:
        asked.extend(args)
        return await run(directory, *args, **options)

    monkeypatch.setattr(git, "run", recording)
    monkeypatch.setattr("frith_git.create._MANY_FILES", threshold)
    workspace = GitWorkspace(GitWorkspaceOptions(checkout_workers=2), repo.path)
    plan = await repo.plan()
    await workspace.create(plan)
    assert ("checkout.workers=2" in asked) == expected
    assert repo.git("status", "--porcelain", at=plan.path) == ""


async def test_the_error_of_a_failed_git_command_has_its_error_output(repo: Repo) -> None:
    plan = await repo.plan()
    (repo.path / ".git/refs/heads/feature").write_text("a file in the way")
    with pytest.raises(GitError) as caught:
        await repo.workspace.create(plan)
    assert caught.value.code == "GIT_FAILED"
    assert caught.value.argv[0] == "git"
    assert caught.value.exit_code == 128
    assert "refs/heads/feature" in caught.value.stderr
