"""Third-party distributions beside frith, installed from wheels and chosen by configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from waiting import TO_RUN

pytestmark = pytest.mark.expensive("starts hosts, each a process of its own")

STRANGERS = Path(__file__).parent.parent / "thirdparty"
STATE_FILE = ".claude-container-sessions.json"

HOSTS = """
import json, os, sys
import anyio
from frith import ManagerConfig, SessionManager, FrithError

async def main(config, names):
    created, error = [], None
    try:
        async with SessionManager(ManagerConfig.of(**config)) as manager:
            for name in names:
                created.append((await manager.create_session(name, start=False)).id)
            found = [session.name for session in manager.get_all_sessions()]
    except FrithError as refused:
        found, error = [], [refused.code, str(refused)]
    print(json.dumps({"created": created, "found": sorted(found), "error": error}), flush=True)

for backend in ("asyncio", "trio"):
    anyio.run(anyio.sleep, 0, backend=backend)  # loads it
for line in sys.stdin:
    installed, env, backend, config, names = json.loads(line)
    if not (host := os.fork()):
        sys.path[:0] = installed
        os.environ.clear()
        os.environ.update(env)
        anyio.run(main, config, names, backend=backend)
        break
    if os.waitpid(host, 0)[1]:
        print("null", flush=True)
"""
"""Runs a host for each line, forked from a process that has all imports already."""
PLUGINS = ("-p", "anyio", "-p", "frith")
"""The plugins of pytest that are needed; loading others takes time."""


@pytest.fixture(scope="session")
def sites(unpacked: Callable[[Path], Path]) -> Callable[[tuple[str, ...]], list[str]]:
    """Return the directory of each third-party distribution."""
    return lambda installed: [str(unpacked(STRANGERS / name)) for name in installed]


@pytest.fixture
def run(
    sites: Callable[[tuple[str, ...]], list[str]], workspace: Path, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python with some of the distributions installed, in order of precedence."""

    def run(*arguments: str, installed: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        path = [*sites(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "FRITH_WORKSPACE": str(workspace),
        }
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            env=env,
            cwd=tmp_path,
            timeout=TO_RUN,
        )

    return run


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """Start the process that forks hosts."""
    command = [sys.executable, "-c", HOSTS]
    elsewhere = tmp_path_factory.mktemp("hosts")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=elsewhere) as hosts:
        yield hosts


@pytest.fixture(params=["asyncio", "trio"])
def host(
    request: pytest.FixtureRequest,
    hosts: subprocess.Popen[str],
    sites: Callable[[tuple[str, ...]], list[str]],
    workspace: Path,
) -> Callable[..., Any]:
    """Run a host that creates sessions with these names; return its report."""

    def host(*names: str, installed: tuple[str, ...], **config: Any) -> Any:
        options = {"workspace": str(workspace), **config}
        question = [sites(installed), dict(os.environ), request.param, options, names]
        assert hosts.stdin is not None
        assert hosts.stdout is not None
        print(json.dumps(question), file=hosts.stdin, flush=True)
        answer = json.loads(hosts.stdout.readline())
        assert answer is not None, "the host failed; its traceback is in the captured stderr"
        return answer

    return host


@pytest.fixture
def frith(run: Any) -> Callable[..., Any]:
    """Run the command with --json and return its output."""

    def frith(*arguments: str, installed: tuple[str, ...]) -> Any:
        done = run("-m", "frith_cli", *arguments, "--json", installed=installed)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return frith


@pytest.mark.requirement("R6.2")
def test_a_third_party_store_is_chosen_by_configuration_alone(host: Any, workspace: Path) -> None:
    first = host("one", installed=("sqlite",), store="sqlite")
    assert first["found"] == ["one"]
    second = host("two", installed=("sqlite",), store="sqlite")
    assert second["found"] == ["one", "two"]
    assert (workspace / ".sessions" / "sessions.db").exists()
    assert not (workspace / STATE_FILE).exists()


@pytest.mark.requirement("R6.1")
def test_the_command_uses_a_third_party_store_from_the_configuration_file(
    frith: Any, workspace: Path
) -> None:
    (workspace / ".frith.toml").write_text('store = "sqlite"\n')
    created = frith("new", "one", "--no-attach", installed=("sqlite",))
    assert [found["id"] for found in frith("ls", installed=("sqlite",))] == [created["id"]]
    assert not (workspace / STATE_FILE).exists()


def test_a_store_wraps_the_built_in_one_and_delegates_to_it(host: Any, workspace: Path) -> None:
    wrapped = host("one", installed=("counting",), store="counting")
    assert (workspace / ".commits").read_text().splitlines()
    assert wrapped["found"] == host(installed=("counting",))["found"] == ["one"]
    stored = json.loads((workspace / STATE_FILE).read_text())
    assert [session["id"] for session in stored["sessions"]] == wrapped["created"]


def test_a_store_wraps_a_third_party_store(host: Any, workspace: Path) -> None:
    options = {"store": {"counting": {"wraps": "sqlite"}}}
    installed = ("counting", "sqlite")
    host("one", installed=installed, store="counting", options=options)
    assert host(installed=installed, store="sqlite")["found"] == ["one"]
    assert not (workspace / STATE_FILE).exists()


def test_a_store_that_wraps_itself_is_refused(host: Any) -> None:
    options = {"store": {"counting": {"wraps": "counting"}}}
    answer = host("one", installed=("counting",), store="counting", options=options)
    assert answer["error"][0] == "PROVIDER_CYCLE"


@pytest.mark.requirement("R6.4")
def test_a_creation_that_a_third_party_plugin_vetoes_leaves_nothing(
    host: Any, workspace: Path, git: Callable[..., str]
) -> None:
    answer = host("wip-one", installed=("policy",))
    assert answer["error"] == [
        "SESSION_VETOED",
        "Refused by plugin 'policy': no name may begin with 'wip'",
    ]
    assert git(workspace, "branch", "--format=%(refname:short)").split() == ["main"]
    assert len(git(workspace, "worktree", "list").splitlines()) == 1
    assert host("one", installed=("policy",))["found"] == ["one"]


def test_a_third_party_hook_gets_its_options(host: Any) -> None:
    options = {"plugin": {"policy": {"forbidden": "one"}}}
    assert host("one", installed=("policy",), options=options)["error"][0] == "SESSION_VETOED"
    assert host("wip-one", installed=("policy",), options=options)["found"] == ["wip-one"]


@pytest.mark.requirement("R6.3")
def test_a_broken_plugin_is_listed_and_others_work(host: Any, frith: Any) -> None:
    listed = {record["name"]: record for record in frith("plugins", installed=("broken",))}
    broken = listed.pop("broken")
    assert (broken["distribution"], broken["version"]) == ("frith-broken", "1.0")
    assert broken["state"] == "failed"
    assert "a library that this plugin needs is not installed" in broken["reason"]
    assert {record["state"] for record in listed.values()} == {"loaded"}
    assert host("one", installed=("broken",))["found"] == ["one"]


@pytest.mark.requirement("R6.3")
def test_choosing_a_provider_of_a_broken_plugin_is_an_error(host: Any) -> None:
    code, message = host("one", installed=("broken",), store="broken")["error"]
    assert code == "PROVIDER_NOT_FOUND"
    assert "a library that this plugin needs is not installed" in message


@pytest.mark.requirement("R6.3")
def test_a_blocked_plugin_is_not_imported(run: Any) -> None:
    arguments = ("-m", "frith_cli", "--set", "blocked_plugins=broken", "plugins", "--json")
    done = run("-v", *arguments, installed=("broken",))
    listed = {record["name"]: record["state"] for record in json.loads(done.stdout)}
    assert listed["broken"] == "blocked"
    assert "frith_broken" not in done.stderr


@pytest.mark.requirement("R6.2")
@pytest.mark.parametrize("installed", [("sqlite", "twin"), ("twin", "sqlite")])
def test_two_providers_of_one_name_are_an_error_that_names_both_distributions(
    host: Any, installed: tuple[str, ...]
) -> None:
    code, message = host("one", installed=installed, store="sqlite")["error"]
    assert code == "DUPLICATE_PROVIDER"
    assert "frith-sqlite" in message
    assert "frith-twin" in message


@pytest.mark.requirement("R6.2")
def test_two_providers_of_one_name_are_an_error_only_when_chosen(host: Any) -> None:
    installed = ("sqlite", "twin")
    blocked = host("one", installed=installed, store="sqlite", blocked_plugins=["twin"])
    assert blocked["found"] == ["one"]


@pytest.mark.requirement("R6.2")
def test_two_providers_of_one_name_are_no_error_for_another_choice(host: Any) -> None:
    assert host("one", installed=("sqlite", "twin"))["found"] == ["one"]


@pytest.mark.requirement("R6.6")
@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param("sqlite", marks=pytest.mark.nightly),
        pytest.param("counting", marks=pytest.mark.nightly),
        "policy",
    ],
)
def test_a_third_party_plugin_runs_the_shipped_suites(
    run: Any, tmp_path: Path, stranger: str
) -> None:
    tests = str(STRANGERS / stranger / "tests")
    quick = ("-m", "not faults")  # those run in a tox environment of their own
    plain = ("-q", "-W", "error", "-c", os.devnull, "-p", "no:cacheprovider")
    places = (f"--rootdir={tests}", f"--basetemp={tmp_path / 'own'}")
    arguments = (*PLUGINS, *plain, *quick, *places, tests)
    done = run("-m", "pytest", *arguments, installed=(stranger,))
    assert done.returncode == 0, done.stdout
