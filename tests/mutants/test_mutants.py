"""Each mutant breaks the promise meant for it, and the original keeps them all.

An original and its mutants share a test class and are tested in one process, because starting a
process takes longer than most tests. The original comes last: if it keeps its promises, no mutant
has left anything behind that affects another one.

Only selected mutants are tested: ``-k NAME`` tests one. With pytest-xdist, ``--dist loadscope``
gives each class to one worker, which starts that process; ``loadgroup`` does not work with pytest
9.2 (pytest-dev/pytest-xdist#1386).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from frith_mutants.lifecycle import LIFECYCLE
from frith_mutants.stores import (
    NOTICES_DAMAGE,
    SURVIVES_CRASHES,
    SURVIVES_FAULTS,
    SURVIVES_KILLS,
)
from frith_mutants.tables import PROVIDERS

pytestmark = pytest.mark.timeout(3700)  # twice what the fixture run allows for a process

Promises = dict[str, dict[str, Any]]
"""The report of each promise of one subject."""
Cases = Mapping[str, Collection[tuple[str, str]]]
"""The tested promises of each subject, each with its test case."""

BREAKS: dict[str, tuple[str, str]] = {
    **{f"{m.role}:{m.name}": (m.promise, m.case) for m in PROVIDERS},
    **{f"lifecycle:{plugin.name}": (plugin.promise, "") for plugin in LIFECYCLE},
}
"""The promise that each mutant breaks, and the test case that shows it."""
HIDDEN = {mutant.promise for mutant in PROVIDERS if mutant.hides}
"""Promises that do not apply to the original, because it declares what a mutant hides."""
IN_THE_LABORATORY = {SURVIVES_CRASHES, SURVIVES_FAULTS, SURVIVES_KILLS, NOTICES_DAMAGE}
BY_NAME = "test_installed"
"""The module of the test classes that are made by name."""
BY_CLASS = {"data of a newer version is refused and not changed": "test_newer_version"}
"""Promises that need a test class, and the module of that class."""
HERE = Path(__file__).parent / "by_class"
STUCK = 600
"""Seconds after which a test counts as hanging; no suite waits as long on any machine."""


def originals_and_mutants() -> dict[str, list[str]]:
    """Return the mutants of each original."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for mutant in PROVIDERS:
        found[f"{mutant.role}:{mutant.original().name}"].append(f"{mutant.role}:{mutant.name}")
    found["lifecycle:log"] = [f"lifecycle:{plugin.name}" for plugin in LIFECYCLE]
    return found


def expression(cases: Cases) -> str:
    """Return an expression for ``-k`` that selects the cases of each subject, on asyncio."""
    selected = []
    for subject, promises in cases.items():
        title = "Test_" + re.sub(r"\W", "_", subject)
        for promise, case in promises:
            test = "test_" + promise.replace(" ", "_")
            parts = filter(None, [BY_CLASS.get(promise, BY_NAME), title, test, case])
            selected.append(f"({' and '.join(parts)})")
    return f"({' or '.join(selected)}) and not trio"


class Verdicts:
    """The reports of all subjects, which are tested in one run when the first one is needed."""

    def __init__(self, cases: Cases, run: Callable[..., str], report: Path) -> None:
        self._cases = cases
        self._run = run
        self._report = report
        self._known: dict[str, Promises] = {}
        self._begun = False

    def of(self, subject: str) -> Promises:
        if not self._begun:
            self._begun = True
            self._test(self._cases)
        if subject not in self._known:  # because another mutant has ended the process
            printed = self._test({subject: self._cases[subject]})
            assert subject in self._known, f"nothing is reported of {subject}:\n{printed}"
        return self._known[subject]

    def _test(self, cases: Cases) -> str:
        self._report.unlink(missing_ok=True)
        tests = ["--pyargs", "frith_testing"]
        if any(promise in BY_CLASS for promises in cases.values() for promise, _ in promises):
            tests += map(str, HERE.glob("test_*.py"))
        options = ["--frith-strict", f"--frith-report={self._report}", f"--timeout={STUCK}"]
        options += [f"--frith-provider={subject}" for subject in cases]
        printed = self._run(*tests, *options, "-k", expression(cases))
        is_whole = len(cases) == 1 or _is_complete(printed)
        for found in json.loads(self._report.read_text()) if self._report.exists() else []:
            rows = {row["promise"]: row for row in found["promises"]}
            # In an incomplete run a promise may lack cases, so only a broken one counts.
            if is_whole or all(row["outcome"] == "broken" for row in rows.values()):
                self._known.setdefault(found["provider"], {}).update(rows)
        return printed


def _is_complete(printed: str) -> bool:
    """Tell whether the run that ``printed`` this has tested every subject.

    A mutant may end the process. So may pytest: if several threads parse, CPython 3.11 raises
    ``SystemError: AST constructor recursion depth mismatch`` (python/cpython#106905).
    """
    *_, last = printed.splitlines() or [""]
    return "INTERNALERROR" not in printed and re.search(r" in \d+\.\d+s", last) is not None


@pytest.fixture(scope="class")
def verdicts(
    request: pytest.FixtureRequest,
    run: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Verdicts:
    """Return the verdicts on the selected mutants of a class."""
    cases: dict[str, Collection[tuple[str, str]]] = {}
    for item in request.session.items:
        if item.cls is request.cls:
            cases |= item.cls.cases(**item.callspec.params if hasattr(item, "callspec") else {})
    return Verdicts(cases, run, tmp_path_factory.mktemp("reports") / "report.json")


class Mutants:
    """An original and its mutants."""

    original: ClassVar[str]
    mutants: ClassVar[list[str]]

    def __init_subclass__(cls, original: str, mutants: Iterable[str]) -> None:
        cls.original, cls.mutants = original, list(mutants)

    @classmethod
    def cases(cls, mutant: str = "") -> Cases:
        """Return the cases of a mutant, or of the original."""
        if mutant:
            return {mutant: [BREAKS[mutant]]}
        kept = {BREAKS[mutant] for mutant in cls.mutants if BREAKS[mutant][0] not in HIDDEN}
        return {cls.original: kept}

    @pytest.mark.requirement("R6.6")
    def test_a_mutant_breaks_the_promise_meant_for_it(
        self, mutant: str, verdicts: Verdicts
    ) -> None:
        promise, _ = BREAKS[mutant]
        rows = verdicts.of(mutant)
        assert rows[promise]["outcome"] == "broken", rows[promise]
        assert rows[promise]["when"] == "call", rows[promise]
        assert "pytest-timeout" not in rows[promise]["why"], "the suite did not find it"
        assert [name for name, row in rows.items() if row["outcome"] == "broken"] == [promise]

    def test_the_original_keeps_every_promise_that_a_mutant_breaks(
        self, verdicts: Verdicts
    ) -> None:
        rows = verdicts.of(self.original)
        outcomes = {promise: row["outcome"] for promise, row in rows.items()}
        assert outcomes.keys() == {promise for promise, _ in self.cases()[self.original]}
        assert set(outcomes.values()) == {"kept"}, outcomes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mutant" in metafunc.fixturenames:
        metafunc.parametrize("mutant", metafunc.cls.mutants)


ORIGINALS = originals_and_mutants()
LABORATORY = [m for m in ORIGINALS["store:json"] if BREAKS[m][0] in IN_THE_LABORATORY]
OTHERS = [m for m in ORIGINALS["store:json"] if m not in LABORATORY]
PTY = ORIGINALS["terminal:pty"]
HALF = (len(PTY) + 1) // 2


class TestStore(Mutants, original="store:json", mutants=OTHERS): ...


class TestStoreInTheLaboratory(Mutants, original="store:json", mutants=LABORATORY): ...


class TestWorkspace(Mutants, original="workspace:git", mutants=ORIGINALS["workspace:git"]): ...


class TestRecovery(Mutants, original="recovery:git", mutants=ORIGINALS["recovery:git"]): ...


class TestTerminal(Mutants, original="terminal:pty", mutants=PTY[:HALF]): ...


class TestTerminalToo(Mutants, original="terminal:pty", mutants=PTY[HALF:]): ...


class TestKeeper(Mutants, original="terminal:keeper", mutants=ORIGINALS["terminal:keeper"]): ...


class TestStatus(Mutants, original="status:status", mutants=ORIGINALS["status:status"]): ...


class TestLifecycle(Mutants, original="lifecycle:log", mutants=ORIGINALS["lifecycle:log"]): ...


def test_each_mutant_is_tested_once() -> None:
    tested = [mutant for group in Mutants.__subclasses__() for mutant in group.mutants]
    assert sorted(tested) == sorted(BREAKS)
