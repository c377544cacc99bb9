"""The report: for each provider each promise, and whether it keeps it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

import pytest

DOES_NOT_APPLY = "does not apply: "
"""Begins the reason of a test that was skipped for what the provider declares or does not."""


class Outcome(StrEnum):
    """What the tests say of a promise; of several tests the first here decides."""

    BROKEN = "broken"
    WARNED = "warned"
    """Broken, but new in this version of the suites: from the next one on it counts."""
    DEVIATES = "deviates"
    """Broken, and its author says why."""
    NOT_CHECKED = "not checked"
    """This machine cannot."""
    KEPT = "kept"
    DOES_NOT_APPLY = "does not apply"
    """The provider's capabilities rule it out."""


_ORDER = tuple(Outcome)


@dataclass(slots=True)
class PromiseReport:
    """One promise of one provider."""

    outcome: Outcome
    why: str = ""
    tests: list[str] = field(default_factory=list)
    """Node ids of the tests that decided."""
    when: str = "call"
    """During which phase of the first of them: ``setup``, ``call`` or ``teardown``."""


@dataclass(slots=True)
class Subject:
    """One provider, or plugin, in one suite."""

    provider: str
    distribution: str
    suite: str
    version: str
    promises: dict[str, PromiseReport] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Who was tested against what."""
        return f"{self.provider} ({self.distribution}), suite {self.suite} {self.version}"


class Report:
    """All promises of all providers that were tested."""

    def __init__(self) -> None:
        self.subjects: dict[str, Subject] = {}
        """By the node id of their test classes."""

    def add(self, row: dict[str, str]) -> None:
        """Take in what one test says; see the pytest plugin for the keys of ``row``."""
        subject = self.subjects.setdefault(
            row["class"], Subject(row["class"], "unknown", row["suite"], row["version"])
        )
        if row["provider"]:  # unknown to a test that ended in a fixture
            subject.provider, subject.distribution = row["provider"], row["distribution"]
        outcome = Outcome(row["outcome"])
        known = subject.promises.get(row["promise"])
        if known is None or _ORDER.index(outcome) < _ORDER.index(known.outcome):
            known = PromiseReport(outcome, row["why"], when=row["when"])
            subject.promises[row["promise"]] = known
        if outcome is known.outcome:
            known.tests.append(row["test"])

    def _sorted(self) -> list[Subject]:
        return sorted(self.subjects.values(), key=lambda subject: subject.title)

    def text(self, hidden: Collection[Outcome] = ()) -> str:
        """Return the report for people; promises whose outcome is in ``hidden`` only counted."""
        lines = []
        for subject in self._sorted():
            counted = Counter(promise.outcome for promise in subject.promises.values())
            counts = ", ".join(
                f"{counted[outcome]} {outcome}" for outcome in Outcome if counted[outcome]
            )
            lines.append(f"{subject.title}: {counts}")
            for name, promise in subject.promises.items():
                if promise.outcome not in hidden:
                    reason = f": {promise.why}" if promise.why else ""
                    lines.append(f"  {promise.outcome:<14} {name}{reason}")
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        """Return the report for programs: a list of providers with their promises."""
        return json.dumps(
            [
                {
                    "provider": subject.provider,
                    "distribution": subject.distribution,
                    "suite": subject.suite,
                    "version": subject.version,
                    "promises": [
                        {
                            "promise": name,
                            "outcome": promise.outcome.value,
                            "why": promise.why,
                            "when": promise.when,
                            "tests": promise.tests,
                        }
                        for name, promise in subject.promises.items()
                    ],
                }
                for subject in self._sorted()
            ],
            indent=2,
            ensure_ascii=False,
        )


def outcome_of(
    report: pytest.TestReport, *, is_new: bool, deviates: bool
) -> tuple[Outcome | None, str]:
    """Return what a test's report says of its promise, and why; ``None`` if nothing yet."""
    if report.failed:
        return Outcome.BROKEN, _last_line(report)
    if hasattr(report, "wasxfail"):
        if deviates:
            return Outcome.DEVIATES, report.wasxfail.removeprefix("reason: ")
        return (Outcome.WARNED if is_new else Outcome.BROKEN), report.wasxfail
    if report.skipped:
        # A skipped test is reported as the place and the reason.
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(DOES_NOT_APPLY):
            return Outcome.DOES_NOT_APPLY, reason.removeprefix(DOES_NOT_APPLY)
        return Outcome.NOT_CHECKED, reason
    return (Outcome.KEPT, "") if report.when == "call" else (None, "")


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return str(text).strip().splitlines()[0] if str(text).strip() else "failed"
