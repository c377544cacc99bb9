"""Undoing creations that failed, were cancelled or were killed."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import BranchTakenError
from frith.model import AtStake
from frith.ports import WorktreePlan
from frith_git.git import GitError, run_process
from waiting import until

from .conftest import Hook, Repo

_PROGRAM = """
import sys, anyio
from pathlib import Path
from frith.ports import WorktreePlan
from frith_git import GitWorkspaceOptions
from frith_git.workspace import GitWorkspace
workspace, id, path, branch, base = sys.argv[1:]
provider = GitWorkspace(GitWorkspaceOptions(), Path(workspace))
anyio.run(provider.create, WorktreePlan(id, path, branch, True, base))
"""

_KILLER = """#!{sh}
# Runs git, but kills the host before or after the given command.
# Before: it continues when told, and tells when it is done.
doomed=no; case " $* " in *" {command} "*) doomed=yes;; esac
[ $doomed-{when} = yes-before ] && kill -9 $(cat {pid}) && read -r told <{orphan}
{git} "$@"; code=$?
[ $doomed-{when} = yes-after ] && kill -9 $(cat {pid})
[ $doomed-{when} = yes-before ] && echo done >{orphan}
exit $code
"""


def _is_clean(repo: Repo) -> bool:
    lying = repo.path / ".worktrees"
    return (
        repo.branches() == {"main"}
        and repo.worktrees() == 1
        and not list((repo.path / ".git").glob("worktrees/*"))
        and (not lying.exists() or not os.listdir(lying))
    )


def _waits_for_a_lock() -> bool:
    return any(thread.name == "frith-lock" for thread in threading.enumerate())


@pytest.mark.requirement("R2.2")
@pytest.mark.parametrize(
    "command", [("update-ref",), ("worktree", "add"), ("read-tree",), ("rev-parse", "--git-path")]
)
async def test_a_creation_that_fails_at_any_step_is_undone(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    plan = await repo.plan()

    async def failing(argv: Any, **options: Any) -> Any:
        code, *output = await run_process(argv, **options)
        if " ".join(command) in " ".join(argv) and "-d" not in argv:
            return 1, b"", b"broken for the test"
        return code, *output

    with monkeypatch.context() as patch:
        patch.setattr("frith_git.git.run_process", failing)
        with pytest.raises((GitError, BranchTakenError)):
            await repo.workspace.create(plan)
    assert _is_clean(repo)


@pytest.mark.requirement("R2.2")
async def test_a_creation_cancelled_at_any_git_process_is_undone(repo: Repo, hook: Hook) -> None:
    """Cancel at each git process that a creation starts, one after the other, and in the hook."""
    hook("true")
    for step in range(1, 6):
        plan = await repo.plan()
        seen = 0
        with anyio.CancelScope() as scope:
            start = run_process

            async def counting(*args: Any, **options: Any) -> Any:
                nonlocal seen
                seen += 1
                if seen == step:  # noqa: B023
                    scope.cancel()
                return await start(*args, **options)  # noqa: B023

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("frith_git.git.run_process", counting)
                patch.setattr("frith_git.create.run_process", counting)
                await repo.workspace.create(plan)
        if not Path(plan.path).exists():
            assert _is_clean(repo), step
        else:
            assert await repo.workspace.discard(plan) == AtStake()
            assert _is_clean(repo), step


async def test_a_creation_cancelled_during_the_hook_ends_the_hook_and_is_undone(
    repo: Repo, hook: Hook, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "started")
    hook(f"touch made; echo $$ >{tmp_path}/started; while :; do sleep 60; done")
    plan = await repo.plan()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(repo.workspace.create, plan)
        pid = int(await anyio.Path(tmp_path / "started").read_text())
        tasks.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert _is_clean(repo)


async def test_a_creation_that_cannot_be_undone_is_logged(
    repo: Repo, hook: Hook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await repo.plan()

    async def failing(*_: Any) -> None:
        raise GitError(("git",), 1, "broken for the test")

    async def stuck(*_: Any, **__: Any) -> None:
        raise GitError(("git",), 1, "stuck for the test")

    monkeypatch.setattr("frith_git.create.check_out", failing)
    monkeypatch.setattr("frith_git.create.take_away", stuck)
    with pytest.raises(GitError, match="broken"):
        await repo.workspace.create(plan)
    assert "creation_not_undone" in caplog.text
    assert "stuck for the test" in caplog.text


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("command", ["update-ref", "worktree", "read-tree", "rev-parse"])
async def test_a_creation_killed_at_any_step_is_discarded(
    repo: Repo, tmp_path: Path, command: str, when: str
) -> None:
    plan = await repo.plan()
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        _KILLER.format(
            sh=shutil.which("sh"),
            git=shutil.which("git"),
            pid=tmp_path / "pid",
            orphan=tmp_path / "orphan",
            command=command,
            when=when,
        )
    )
    fake.chmod(0o755)
    os.mkfifo(tmp_path / "go")
    os.mkfifo(tmp_path / "orphan")
    host = subprocess.Popen(
        [
            *(sys.executable, "-c", f"open({str(tmp_path / 'go')!r}).read()\n{_PROGRAM}"),
            *(str(repo.path), plan.session_id, plan.path, plan.branch, str(plan.base_oid)),
        ],
        env={**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    (tmp_path / "pid").write_text(str(host.pid))
    (tmp_path / "go").write_text("")
    output, _ = host.communicate()
    assert host.returncode == -signal.SIGKILL, output
    at_stake = []

    async def discard() -> None:
        at_stake.append(await repo.workspace.discard(plan))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(discard)
        await until(lambda: at_stake or _waits_for_a_lock())
        if when == "before":
            await anyio.Path(tmp_path / "orphan").write_text("go on\n")
            await anyio.Path(tmp_path / "orphan").read_text()
    assert at_stake == [AtStake()]
    assert _is_clean(repo)


async def test_a_branch_that_moved_is_not_discarded_with_or_without_its_worktree(
    repo: Repo,
) -> None:
    plan = await repo.plan()
    await repo.workspace.create(plan)
    commit = repo.commit("work", at=plan.path)
    found = await repo.workspace.discard(plan)
    assert found.commits == (commit,)
    assert Path(plan.path, "README").exists()
    repo.git("worktree", "unlock", plan.path)
    repo.git("worktree", "remove", plan.path)
    assert (await repo.workspace.discard(plan)).commits == (commit,)
    assert plan.branch in repo.branches()


async def test_an_ignored_file_since_the_creation_is_not_discarded(repo: Repo) -> None:
    plan = await repo.plan()
    await repo.workspace.create(plan)
    _wait_for_the_clock(repo.admin(repo.session(plan)) / "frith-created")
    Path(plan.path, ".env").write_text("work")
    assert (await repo.workspace.discard(plan)).ignored == (".env",)
    assert Path(plan.path, ".env").read_text() == "work"


async def test_a_worktree_with_a_deleted_tracked_file_is_not_discarded(repo: Repo) -> None:
    plan = await repo.plan()
    await repo.workspace.create(plan)
    Path(plan.path, "README").unlink()
    assert await repo.workspace.discard(plan) == AtStake(changed=("README",))
    assert Path(plan.path, "src/main.py").exists()


async def test_a_worktree_with_a_file_in_place_of_a_tracked_directory_is_not_discarded(
    repo: Repo,
) -> None:
    plan = await repo.plan()
    await repo.workspace.create(plan)
    shutil.rmtree(Path(plan.path, "src"))
    Path(plan.path, "src").write_text("work")
    assert "src/main.py" in (await repo.workspace.discard(plan)).changed
    assert Path(plan.path, "src").read_text() == "work"


async def test_files_of_the_hook_are_discarded(repo: Repo, hook: Hook) -> None:
    hook("echo SECRET=1 >.env; mkdir new; touch new/file; echo more >>README")
    plan = await repo.plan()
    await repo.workspace.create(plan)
    assert await repo.workspace.discard(plan) == AtStake()
    assert _is_clean(repo)


async def test_files_of_the_hook_that_changed_later_are_not_discarded(
    repo: Repo, hook: Hook
) -> None:
    hook("mkdir new; touch new/file")
    plan = await repo.plan()
    await repo.workspace.create(plan)
    _wait_for_the_clock(repo.admin(repo.session(plan)) / "frith-created")
    Path(plan.path, "new/file").write_text("work")
    assert (await repo.workspace.discard(plan)).untracked == ("new/",)


def _steps_of_worktree_add(repo: Repo, plan: WorktreePlan) -> dict[str, Callable[[], object]]:
    """Return what `git worktree add` makes, in its order."""
    admin = repo.path / ".git/worktrees" / plan.session_id
    return {
        "admin": lambda: admin.mkdir(parents=True),
        "locked": lambda: (admin / "locked").write_text(f"frith {plan.session_id}"),
        "directory": lambda: Path(plan.path).mkdir(parents=True),
        "gitdir": lambda: (admin / "gitdir").write_text(f"{plan.path}/.git\n"),
        ".git": lambda: Path(plan.path, ".git").write_text(f"gitdir: {admin}\n"),
        "HEAD": lambda: (admin / "HEAD").write_text("0" * 40 + "\n"),
        "commondir": lambda: (admin / "commondir").write_text("../..\n"),
    }


@pytest.mark.parametrize("count", range(1, 8))
async def test_a_worktree_add_killed_at_any_step_is_discarded(repo: Repo, count: int) -> None:
    plan = await repo.plan()
    note = f"frith: created for session {plan.session_id}"
    branch = f"refs/heads/{plan.branch}"
    repo.git("update-ref", "--create-reflog", "-m", note, branch, str(plan.base_oid))
    for step in list(_steps_of_worktree_add(repo, plan).values())[:count]:
        step()
    assert await repo.workspace.discard(plan) == AtStake()
    assert _is_clean(repo)


async def test_a_killed_checkout_is_discarded(repo: Repo) -> None:
    plan = await repo.plan()
    await repo.workspace.create(plan)
    admin = repo.admin(repo.session(plan))
    (admin / "index").rename(admin / "index.lock")
    (admin / "frith-created").unlink()
    Path(plan.path, "src/main.py").unlink()
    assert await repo.workspace.discard(plan) == AtStake()
    assert _is_clean(repo)


async def test_changes_in_a_worktree_without_index_are_not_discarded(repo: Repo) -> None:
    plan = await repo.plan()
    await repo.workspace.create(plan)
    admin = repo.admin(repo.session(plan))
    (admin / "index").unlink()
    (admin / "frith-created").unlink()
    Path(plan.path, "README").write_text("work")
    assert (await repo.workspace.discard(plan)).changed == ("README",)
    assert stat.S_ISREG(Path(plan.path, "README").stat().st_mode)


def _wait_for_the_clock(stamp: Path) -> None:
    """Wait until a file written now gets a later time than ``stamp`` has."""
    probe = stamp.with_name("probe")
    while True:
        probe.write_text("")
        later = probe.stat().st_ctime_ns > stamp.stat().st_ctime_ns
        probe.unlink()
        if later:
            return
