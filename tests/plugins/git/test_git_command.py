"""How git is run: nothing of the host's environment or terminal reaches it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import pytest

from frith.errors import WorkspaceError
from frith.ports import WorktreeRequest
from frith_git.git import (
    LOCAL_VARIABLES,
    Git,
    GitError,
    GitNotFoundError,
    GitNotStartedError,
    run_process,
)
from frith_testing.faults.machine.rlimits import descriptors_left
from waiting import until


def test_the_local_variables_are_those_that_git_names_without_configuration():
    said = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True)
    configuration = {"GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"}
    assert set(said.stdout.split()) - configuration <= LOCAL_VARIABLES
    assert not configuration & LOCAL_VARIABLES


@pytest.mark.parametrize(
    "variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"]
)
async def test_a_variable_that_redirects_git_does_not(repo, tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    plan = await repo.plan()
    await repo.workspace.create(plan)
    monkeypatch.delenv(variable)
    assert repo.git("status", "--porcelain", at=plan.path) == ""


@pytest.mark.parametrize(
    "configuration",
    [
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "told"},
        {"GIT_CONFIG_PARAMETERS": "'a.b'='told'"},
    ],
    ids=["count", "parameters"],
)
async def test_configuration_in_the_environment_holds(repo, monkeypatch, configuration):
    for name, value in configuration.items():
        monkeypatch.setenv(name, value)
    assert await Git().read(str(repo.path), "config", "a.b") == b"told\n"


async def test_its_messages_are_not_translated(repo, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    output = await Git().run(str(repo.path), "-c", "alias.e=!env", "e")
    assert b"LC_ALL=C\n" in output
    assert b"GIT_TERMINAL_PROMPT=0\n" in output


@pytest.mark.parametrize("variable", ["FRITH_SESSION_ID", "FRITH_WORKSPACE", "FRITH_TERMINAL_ID"])
async def test_it_is_not_ended_with_the_session_in_which_its_host_runs(repo, monkeypatch, variable):
    monkeypatch.setenv(variable, "of another session")
    output = await Git().run(str(repo.path), "-c", "alias.e=!env", "e")
    assert f"\n{variable}=".encode() not in b"\n" + output


async def test_readings_take_no_optional_locks(repo):
    output = await Git().read(str(repo.path), "-c", "alias.e=!env", "e")
    assert b"GIT_OPTIONAL_LOCKS=0\n" in output


async def test_it_runs_in_a_session_of_its_own(repo):
    output = await Git().run(str(repo.path), "-c", "alias.p=!ps -o sid= -p $$", "p")
    assert int(output) != os.getsid(0)


async def test_it_never_climbs_out_of_the_directory(repo):
    with pytest.raises(GitError, match="not a git repository"):
        await Git().run(str(repo.path / "src"), "rev-parse", "HEAD")


async def test_without_git_the_error_says_so(repo, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GitNotFoundError) as caught:
        await repo.create()
    assert caught.value.code == "GIT_NOT_FOUND"


async def test_an_option_that_git_does_not_know_hints_at_its_version(repo):
    with pytest.raises(GitError, match=r"2\.33"):
        await Git().run(str(repo.path), "update-ref", "--no-such-option")


async def test_a_git_that_does_not_read_its_input_is_no_error_of_ours(repo):
    output = await Git().run(str(repo.path), "version", stdin=b"x" * 1_000_000)
    assert output.startswith(b"git version")


async def test_cancelled_it_ends_with_all_that_it_started(repo, tmp_path):
    os.mkfifo(tmp_path / "held")
    script = f"!exec 3>{tmp_path}/held; echo started >&3; exec sleep 1000"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Git().run, str(repo.path), "-c", f"alias.s={script}", "s")
        held = await anyio.open_file(tmp_path / "held")
        assert await held.readline() == "started\n"
        tasks.cancel_scope.cancel()
    async with held:
        assert await held.read() == "", "there is no end of the file while anybody holds it"


def test_importing_the_plugin_loads_none_of_its_machinery():
    program = "import sys, frith_git; print(*[m for m in sys.modules if 'frith_git.' in m])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.stdout.split() == [], loaded.stderr


async def test_cancelled_it_ends_also_if_every_thread_waits_for_another(tmp_path):
    def sleeping():
        return [cmd for cmd in Path("/proc").glob("[0-9]*/cmdline") if read(cmd) == command]

    def read(path):
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


async def test_the_providers_open(repo):
    import frith_git
    from frith.providers import Role

    class Context:
        workspace = repo.path

    specs = {spec.role: spec for spec in frith_git.frith_providers()}
    assert {spec.name for spec in specs.values()} == {"git"}
    for role in (Role.WORKSPACE, Role.RECOVERY):
        spec = specs[role]
        async with spec.factory(spec.config(), Context()) as provider:
            assert provider


async def test_without_descriptors_git_is_not_started_and_that_is_said(repo):
    with descriptors_left(1), pytest.raises(GitNotStartedError, match="Too many open files") as no:
        await Git().read(str(repo.path), "version")
    assert (no.value.code, no.value.reason) == ("GIT_NOT_STARTED", "Too many open files")
    assert "then try again" in str(no.value)


OPERATIONS = {
    "taken": lambda repo, _: repo.workspace.taken(["feature/one"]),
    "plan": lambda repo, _: repo.workspace.plan(WorktreeRequest("id", "feature/two", "HEAD~0")),
    "create": lambda repo, _: repo.workspace.create(repo.another),
    "inspect": lambda repo, session: repo.workspace.inspect(session),
    "remove": lambda repo, session: repo.workspace.remove(session, force=True),
    "restore": lambda repo, session: repo.workspace.restore(session),
    "repair": lambda repo, _: repo.workspace.repair(),
    "rebuild": lambda repo, _: repo.recovery.rebuild(),
}


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_at_the_limit_of_descriptors_each_operation_raises_an_error_of_ours(repo, operation):
    session = await repo.create()
    repo.another = await repo.plan("feature/another")
    for left in range(4):  # more would be enough for some, and all are told the same
        with descriptors_left(left), suppress(WorkspaceError):
            await operation(repo, session)


@pytest.mark.requirement("R1.12")
async def test_what_runs_git_twice_at_once_says_that_there_is_none(repo, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GitNotFoundError):
        await repo.workspace.taken(["feature/one"])
