"""Installed providers are tested by name, with their defaults or given options."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from waiting import TO_RUN

pytest_plugins = ["pytester"]

PLAIN = ("-q", "-p", "no:hypothesispytest")  # its import takes longer than these tests
HOOKS = "every hook is implemented as specified"


def run(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # In the shared base directory, pytest would delete the files of earlier runs.
    own = f"--basetemp={tmp_path / 'own'}"
    command = [sys.executable, "-m", "pytest", *PLAIN, own, "--pyargs", "frith_testing", *options]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TO_RUN)


@pytest.fixture
def run_here(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run pytest in this process, because a new one takes a second to import."""
    return lambda *options: pytester.runpytest_inprocess(
        *PLAIN, "--pyargs", "frith_testing", *options
    )


@pytest.mark.expensive("starts pytest")
def test_a_plugin_is_tested_by_name_and_its_promises_reported(tmp_path: Path) -> None:
    reports = ["--frith-report", "report.json", "--frith-report", "reports/report.txt"]
    done = run(tmp_path, "--frith-provider", "lifecycle:log", *reports)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    (subject,) = json.loads((tmp_path / "report.json").read_text())
    assert (subject["provider"], subject["suite"]) == ("lifecycle:log", "lifecycle")
    assert subject["version"] == "1.1"
    outcomes = {row["promise"]: row["outcome"] for row in subject["promises"]}
    assert outcomes[HOOKS] == "kept"
    text = (tmp_path / "reports" / "report.txt").read_text()
    assert f"kept           {HOOKS}\n" in text
    assert f"lifecycle:log ({subject['distribution']}), suite lifecycle 1.1: " in done.stdout


def test_each_role_has_its_suite(run_here: Callable[..., pytest.RunResult]) -> None:
    named = [
        f"--frith-provider={role}"
        for role in ("store:json", "workspace:git", "recovery:git", "terminal:pty", "status:status")
    ]
    done = run_here(*named, "--collect-only")
    assert done.ret == pytest.ExitCode.OK
    for title in ("store_json", "workspace_git", "recovery_git", "terminal_pty", "status_status"):
        assert f"::Test_{title}::" in done.stdout.str()


def test_all_that_is_installed_is_tested_on_request(
    run_here: Callable[..., pytest.RunResult],
) -> None:
    done = run_here("--frith-provider=all", "--collect-only")
    for title in ("store_json", "workspace_git", "recovery_git", "terminal_pty", "lifecycle_log"):
        assert f"::Test_{title}::" in done.stdout.str()


@pytest.mark.expensive("starts pytest")
def test_results_of_several_workers_make_one_report(tmp_path: Path) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    report = ["--frith-report", "report.json", "-n", "2"]
    done = run(tmp_path, "--frith-provider=lifecycle:log", *report)
    (subject,) = json.loads((tmp_path / "report.json").read_text())
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert {row["outcome"] for row in subject["promises"]} == {"kept"}


@pytest.mark.expensive("starts pytest")
def test_a_provider_is_opened_with_the_options_that_are_given_for_it(tmp_path: Path) -> None:
    options = '--frith-options=store:json={"file": "renamed.json"}'
    done = run(tmp_path, "--frith-provider=store:json", options, "-k", "empty_changes")
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert [*(tmp_path / "own").rglob("renamed.json")]


@pytest.mark.expensive("starts pytest")
def test_a_plugin_is_configured_with_the_options_that_are_given_for_it(tmp_path: Path) -> None:
    options = '--frith-options=lifecycle:log={"shelf": 1}'
    done = run(tmp_path, "--frith-provider=lifecycle:log", options, "-k", "without_an_error")
    assert "'options.plugin.log.shelf': unknown key" in done.stdout


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ((), "Say what to test"),
        (("--frith-provider=store:nowhere",), "nowhere"),
        (("--frith-provider=lifecycle:nobody",), "'nobody' is not loaded"),
        (("--frith-provider=shop:json",), "'shop:json' is not ROLE:NAME with a role of store, "),
        (("--frith-provider=store",), "''"),
        (("--frith-provider=store:json", "--frith-options=store:json"), "is not ROLE:NAME=JSON"),
        (("--frith-provider=store:json", "--frith-options=store:json=1"), "is not ROLE:NAME=JSON"),
        (
            ("--frith-provider=store:json", '--frith-options=store:json={"shelf": 1}'),
            "'options.store.json.shelf': unknown key",
        ),
        (
            ("--frith-provider=store:json", "--frith-options=store:other={}"),
            "add --frith-provider store:other",
        ),
    ],
)
def test_a_wrong_selection_is_an_error_that_says_why(
    run_here: Callable[..., pytest.RunResult], named: tuple[str, ...], message: str
) -> None:
    done = run_here(*named)
    assert done.ret not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    assert message in done.stdout.str() + done.stderr.str()


def test_the_pytest_plugin_imports_nothing_of_frith_at_start_up(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    assert 'frith_testing.pytest_plugin' in sys.modules\n"
        "    assert 'frith' not in sys.modules\n"
    )
    command = [sys.executable, "-m", "pytest", *PLAIN, "test_nothing.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
