"""Each mutant breaks the promise meant for it, and the original keeps them all."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from spinney_mutants.lifecycle import LIFECYCLE
from spinney_mutants.tables import PROVIDERS

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.timeout(660)  # more than the fixture run allows for a run of pytest

CASES: dict[str, tuple[str, str]] = {
    **{f"{m.role}:{m.name}": (m.promise, m.case) for m in PROVIDERS},
    **{f"lifecycle:{plugin.name}": (plugin.promise, "") for plugin in LIFECYCLE},
}
"""The promise that each mutant breaks, and the case that shows it."""
ORIGINALS: dict[str, list[str]] = {
    "lifecycle:log": [f"lifecycle:{plugin.name}" for plugin in LIFECYCLE],
}
"""The mutants of each provider."""
for mutant in PROVIDERS:
    subject = f"{mutant.role}:{mutant.original().name}"
    ORIGINALS.setdefault(subject, []).append(f"{mutant.role}:{mutant.name}")
BY_NAME = ("--pyargs", "spinney_testing")
BY_CLASS = {
    "a newer version is refused and not touched": (
        str(Path(__file__).parent / "by_class" / "test_newer_version.py"),
    )
}
"""Promises that a name does not suffice for, and the test class that does."""


def chosen(cases: Mapping[str, set[str]]) -> str:
    """Return an expression for ``-k`` that selects cases of promises, on asyncio."""
    tests = []
    for promise, parameters in cases.items():
        test = "test_" + promise.replace(" ", "_")
        tests += [f"({test} and {p})" if p else test for p in sorted(parameters)]
    return f"({' or '.join(tests)}) and not trio"


def reported(
    tmp_path: Path, subject: str, cases: Mapping[str, set[str]], run: Run
) -> dict[str, Any]:
    """Run ``cases`` of promises against ``subject``; return what is reported of each promise."""
    report = tmp_path / "report.json"
    options = ["--spinney-provider", subject, "--spinney-report", str(report)]
    tests = BY_CLASS.get(next(iter(cases)), BY_NAME)
    done = run(*tests, *options, "-k", chosen(cases))
    assert done.returncode != pytest.ExitCode.NO_TESTS_COLLECTED, f"no such promise: {cases}"
    assert done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done.stdout
    (found,) = json.loads(report.read_text())
    assert found["provider"] == subject, done.stdout
    return {row["promise"]: row for row in found["promises"]}


@pytest.mark.requirement("R6.6")
@pytest.mark.parametrize("subject", CASES)
def test_a_mutant_breaks_the_promise_meant_for_it(subject: str, tmp_path: Path, run: Run) -> None:
    promise, case = CASES[subject]
    rows = reported(tmp_path, subject, {promise: {case}}, run)
    assert rows[promise]["outcome"] == "broken", rows[promise]
    assert rows[promise]["when"] == "call", rows[promise]
    assert [name for name, row in rows.items() if row["outcome"] == "broken"] == [promise]


@pytest.mark.parametrize("original", ORIGINALS)
def test_the_original_keeps_every_promise_that_a_mutant_breaks(
    original: str, tmp_path: Path, run: Run
) -> None:
    # What a mutant hides the original declares: that promise does not apply to it.
    hidden = {mutant.promise for mutant in PROVIDERS if mutant.hides}
    cases: defaultdict[str, set[str]] = defaultdict(set)
    for promise, case in (CASES[subject] for subject in ORIGINALS[original]):
        if promise not in hidden:
            cases[promise].add(case)
    outcomes = {}
    for tests in (BY_NAME, *BY_CLASS.values()):
        some = {p: c for p, c in cases.items() if BY_CLASS.get(p, BY_NAME) == tests}
        if some:
            rows = reported(tmp_path, original, some, run)
            outcomes |= {promise: rows[promise]["outcome"] for promise in some}
    assert outcomes.keys() == cases.keys()
    assert set(outcomes.values()) == {"kept"}, outcomes
