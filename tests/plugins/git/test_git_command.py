"""Running git: its environment, errors and cancellation."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import WorkspaceError
from frith.model import Session
from frith.ports import WorktreePlan, WorktreeRequest
from frith_git import git
from frith_git.git import (
    LOCAL_VARIABLES,
    GitError,
    GitNotFoundError,
    GitNotStartedError,
    run_process,
)
from frith_testing.faults.machine.rlimits import descriptors_left
from waiting import until

from .conftest import Repo


def test_the_local_variables_are_those_of_git_without_configuration() -> None:
    said = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True)
    configuration = {"GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"}
    assert set(said.stdout.split()) - configuration <= LOCAL_VARIABLES
    assert not configuration & LOCAL_VARIABLES


@pytest.mark.parametrize(
    "configuration",
    [
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "told"},
        {"GIT_CONFIG_PARAMETERS": "'a.b'='told'"},
    ],
    ids=["count", "parameters"],
)
async def test_configuration_in_the_environment_applies(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, configuration: dict[str, str]
) -> None:
    for name, value in configuration.items():
        monkeypatch.setenv(name, value)
    assert await git.read(str(repo.path), "config", "a.b") == b"told\n"


async def test_git_runs_in_the_c_locale_and_without_prompts(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    output = await git.run(str(repo.path), "-c", "alias.e=!env", "e")
    assert b"LC_ALL=C\n" in output
    assert b"GIT_TERMINAL_PROMPT=0\n" in output


@pytest.mark.parametrize("variable", ["FRITH_SESSION_ID", "FRITH_WORKSPACE", "FRITH_TERMINAL_ID"])
async def test_git_does_not_inherit_the_variables_of_a_session(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "of another session")
    output = await git.run(str(repo.path), "-c", "alias.e=!env", "e")
    assert f"\n{variable}=".encode() not in b"\n" + output


async def test_reading_commands_take_no_optional_locks(repo: Repo) -> None:
    output = await git.read(str(repo.path), "-c", "alias.e=!env", "e")
    assert b"GIT_OPTIONAL_LOCKS=0\n" in output


async def test_git_runs_in_a_process_session_of_its_own(repo: Repo) -> None:
    output = await git.run(str(repo.path), "-c", "alias.p=!ps -o sid= -p $$", "p")
    assert int(output) != os.getsid(0)


async def test_git_does_not_look_for_a_repository_above_the_directory(repo: Repo) -> None:
    with pytest.raises(GitError, match="not a git repository"):
        await git.run(str(repo.path / "src"), "rev-parse", "HEAD")


async def test_a_missing_git_is_an_error(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GitNotFoundError) as caught:
        await repo.create()
    assert caught.value.code == "GIT_NOT_FOUND"


async def test_the_error_of_an_unknown_option_names_the_required_version(repo: Repo) -> None:
    with pytest.raises(GitError, match=r"2\.33"):
        await git.run(str(repo.path), "update-ref", "--no-such-option")


async def test_a_command_that_does_not_read_its_input_succeeds(repo: Repo) -> None:
    output = await git.run(str(repo.path), "version", stdin=b"x" * 1_000_000)
    assert output.startswith(b"git version")


async def test_cancelling_ends_git_and_its_child_processes(repo: Repo, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "held")
    script = f"!exec 3>{tmp_path}/held; echo started >&3; exec sleep 1000"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(git.run, str(repo.path), "-c", f"alias.s={script}", "s")
        held = await anyio.open_file(tmp_path / "held")
        assert await held.readline() == "started\n"
        tasks.cancel_scope.cancel()
    async with held:
        assert await held.read() == "", "a process still holds the pipe"


async def test_cancelling_ends_processes_even_if_all_threads_are_busy(tmp_path: Path) -> None:
    def sleeping() -> Any:
        return [cmd for cmd in Path("/proc").glob("[0-9]*/cmdline") if read(cmd) == command]

    def read(path: Path) -> Any:
        with suppress(OSError):
            return path.read_bytes()

    os.symlink("/bin/sleep", tmp_path / "slow")
    command = b"\0".join([os.fsencode(tmp_path / "slow"), b"100", b""])
    limiter = anyio.to_thread.current_default_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, 2
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(partial(run_process, [f"{tmp_path}/slow", "100"], cwd="/", env={}))
        await until(lambda: len(sleeping()) == 2)
        tasks.cancel_scope.cancel()
    limiter.total_tokens = before
    assert not sleeping()


async def test_a_git_that_the_system_cannot_start_is_an_error_with_the_reason(repo: Repo) -> None:
    with descriptors_left(1), pytest.raises(GitNotStartedError, match="Too many open files") as no:
        await git.read(str(repo.path), "version")
    assert (no.value.code, no.value.reason) == ("GIT_NOT_STARTED", "Too many open files")
    assert "then try again" in str(no.value)


Operation = Callable[[Repo, Session, WorktreePlan], Awaitable[object]]
OPERATIONS: dict[str, Operation] = {
    "taken": lambda repo, *_: repo.workspace.taken(["feature/one"]),
    "plan": lambda repo, *_: repo.workspace.plan(WorktreeRequest("id", "feature/two", "HEAD~0")),
    "create": lambda repo, _, plan: repo.workspace.create(plan),
    "inspect": lambda repo, session, _: repo.workspace.inspect(session),
    "remove": lambda repo, session, _: repo.workspace.remove(session, force=True),
    "restore": lambda repo, session, _: repo.workspace.restore(session),
    "repair": lambda repo, *_: repo.workspace.repair(),
    "rebuild": lambda repo, *_: repo.recovery.rebuild(),
}


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_at_the_limit_of_descriptors_each_operation_raises_a_workspace_error(
    repo: Repo, operation: Operation
) -> None:
    session = await repo.create()
    plan = await repo.plan("feature/another")
    for left in range(4):
        with descriptors_left(left), suppress(WorkspaceError):
            await operation(repo, session, plan)


@pytest.mark.requirement("R1.12")
async def test_a_missing_git_is_an_error_of_concurrent_commands_too(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GitNotFoundError):
        await repo.workspace.taken(["feature/one"])
