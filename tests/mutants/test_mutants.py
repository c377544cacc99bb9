"""Each mutant breaks the promise meant for it, and the original keeps them all."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from spinney_mutants.lifecycle import LIFECYCLE
from spinney_mutants.tables import PROVIDERS

Run = Callable[..., subprocess.CompletedProcess[str]]

MUTANTS = {f"{mutant.role}:{mutant.name}": mutant.promise for mutant in PROVIDERS} | {
    f"lifecycle:{plugin.name}": plugin.promise for plugin in LIFECYCLE
}
ORIGINALS = {
    "store": "store:json",
    "workspace": "workspace:git",
    "recovery": "recovery:git",
    "terminal": "terminal:pty",
    "lifecycle": "lifecycle:log",
}


def chosen(promises: Iterable[str]) -> str:
    """Return an expression for ``-k`` that selects the tests of ``promises``, on asyncio."""
    tests = " or ".join("test_" + promise.replace(" ", "_") for promise in promises)
    return f"({tests}) and not trio"


def reported(tmp_path: Path, subject: str, promises: Iterable[str], run: Run) -> dict[str, Any]:
    """Run the tests of ``promises`` against ``subject``; return what is reported of each."""
    report = tmp_path / "report.json"
    arguments = ["--pyargs", "spinney_testing", "--spinney-provider", subject]
    done = run(*arguments, "--spinney-report", str(report), "-k", chosen(promises))
    assert done.returncode != pytest.ExitCode.NO_TESTS_COLLECTED, f"no such promise: {promises}"
    assert done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done.stdout
    (found,) = json.loads(report.read_text())
    assert found["provider"] == subject, done.stdout
    return {row["promise"]: row for row in found["promises"]}


@pytest.mark.requirement("R6.6")
@pytest.mark.parametrize("subject", MUTANTS)
def test_a_mutant_breaks_the_promise_meant_for_it(subject: str, tmp_path: Path, run: Run) -> None:
    promise = MUTANTS[subject]
    rows = reported(tmp_path, subject, [promise], run)
    assert rows[promise]["outcome"] == "broken", rows[promise]
    assert rows[promise]["when"] == "call", rows[promise]
    assert [name for name, row in rows.items() if row["outcome"] == "broken"] == [promise]


@pytest.mark.parametrize("role", ORIGINALS)
def test_the_original_keeps_every_promise_that_a_mutant_breaks(
    role: str, tmp_path: Path, run: Run
) -> None:
    meant = {promise for subject, promise in MUTANTS.items() if subject.startswith(f"{role}:")}
    rows = reported(tmp_path, ORIGINALS[role], sorted(meant), run)
    outcomes = {promise: rows[promise]["outcome"] for promise in meant}
    assert set(outcomes.values()) == {"kept"}, outcomes
